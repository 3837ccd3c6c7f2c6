"""Plain PyTorch on digits, with a checkpoint that a run goes on from after a crash."""

import argparse
import json

import torch
from sklearn.datasets import load_digits
from torch import nn

from stepladder import trial

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--momentum", type=float, default=0.0)
options = parser.parse_args()
torch.manual_seed(options.seed)
torch.set_num_threads(1)

data = load_digits()
images = torch.tensor(data.data / 16, dtype=torch.float32)
labels = torch.tensor(data.target)
order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
train, val, test = order[:1000], order[1000:1400], order[1400:]

network = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=options.momentum)


def accuracy(split: torch.Tensor) -> float:
    """Return the share of the split's images that are classified rightly."""
    with torch.no_grad():
        return float((network(images[split]).argmax(1) == labels[split]).float().mean())


run = trial.start()
saved, first, history = run.checkpoint / "state.pt", 0, []
if saved.exists():  # of an attempt that was ended
    state = torch.load(saved, weights_only=True)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    first, history = state["epoch"], json.loads(state["history"])
for epoch in range(first, options.epochs):
    shuffled = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(1000 * options.seed + epoch))]
    for batch in shuffled.split(50):
        loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    history.append({"epoch": epoch + 1, "train_loss": float(loss.detach()), "val_accuracy": accuracy(val)})
    run.checkpoint.mkdir(parents=True, exist_ok=True)
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch + 1}
    torch.save({**state, "history": json.dumps(history)}, saved.with_suffix(".part"))
    saved.with_suffix(".part").replace(saved)
run.finish(val=accuracy(val), test=accuracy(test), history=history)
