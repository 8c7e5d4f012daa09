"""Trains the network of `examples/15_pytorch.rs` in PyTorch, and writes its weights and what it makes of the test digits.

Run it in the folder `examples`, with torch, safetensors and numpy installed: `python pytorch/digits_cnn.py`. The two files
beside it came from torch 2.15.
"""

import gzip

import numpy
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional


class DigitsCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        # The eight rows of the image, as words of a sentence.
        self.gru = nn.GRU(64, 32, batch_first=True, bidirectional=True)
        self.out = nn.Linear(64, 10)
        self.dropout = nn.Dropout(0.2)

    def forward(self, images):
        x = functional.relu(self.norm(self.conv1(images)))
        x = functional.gelu(self.conv2(x))
        rows = functional.max_pool2d(x, 2).permute(0, 2, 3, 1).flatten(2)
        states, _ = self.gru(rows)
        return self.out(self.dropout(states.amax(1)))


torch.manual_seed(0)
torch.use_deterministic_algorithms(True)
with gzip.open("data/digits.csv.gz", "rt") as file:
    cells = torch.from_numpy(numpy.loadtxt(file, delimiter=","))
images, labels = cells[:, :64].float().reshape(-1, 1, 8, 8) / 16, cells[:, 64].long()
# The last 400 digits are the test.
train, test = slice(0, -400), slice(-400, None)

model = DigitsCnn()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
for epoch in range(20):
    model.train()
    for batch in torch.randperm(len(labels[train])).split(64):
        loss = functional.cross_entropy(model(images[train][batch]), labels[train][batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    schedule.step()
model.eval()
with torch.no_grad():
    logits = model(images[test])
accuracy = (logits.argmax(1) == labels[test]).double().mean().item()
print(f"torch {torch.__version__}: {sum(p.numel() for p in model.parameters())} parameters, accuracy {accuracy:.4f}")
save_file(model.state_dict(), "pytorch/digits_cnn.safetensors")
save_file({"logits": logits}, "pytorch/digits_cnn_logits.safetensors")
