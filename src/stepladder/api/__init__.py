"""What Stepladder does, a function a verb: the same from Python and from the command line."""
