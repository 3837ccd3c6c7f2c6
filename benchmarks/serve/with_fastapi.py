"""The model in a plain FastAPI handler, as one writes it in ten lines: ``with_fastapi.py MODEL``."""

import sys

import uvicorn
from fastapi import FastAPI, UploadFile

import stepladder as sl

app = FastAPI()
model = sl.load_model(sys.argv[1])


@app.post("/predict")
def predict(images: list[UploadFile]) -> list[list[tuple[str, float]]]:
    """Say what is on images."""
    return model.predict([image.file.read() for image in images]).top(3)


uvicorn.run(app, port=8765, access_log=False)
