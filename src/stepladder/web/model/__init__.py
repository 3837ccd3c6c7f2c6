"""``stepladder serve``: a trained model that answers by HTTP, with a page to drop a photograph on.

``app.py`` has the addresses, ``uploads.py`` reads what was sent, ``batches.py`` gathers images of several requests for
one call of the model, ``answers.py`` says what comes back, ``metrics.py`` counts, ``explanations.py`` draws what speaks
for a class, and ``page/`` is the page. No image is written or kept, and none is in what is printed.
"""
