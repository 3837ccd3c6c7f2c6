"""``stepladder view``: a page of all studies below a folder, live while they run.

What is here reads files and writes none. ``folders`` finds studies, ``owners`` tells who runs them, ``watch`` reads
what changed in one, ``standing`` says what may be said of it by now, ``board`` keeps what a page was told, ``viewer``
does all of that again and again, ``app`` serves it, and ``control`` stops and goes on where that was allowed.
"""
