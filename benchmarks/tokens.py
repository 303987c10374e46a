"""Which map tells the truth of a transformer?"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import leaves
import numpy as np
import torch
from backgrounds import plates
from drawing import PAINTERS
from experiment import Sources, data_of, probes_of
from network import dataset, group_accuracies
from token_networks import NETWORKS
from torch import nn

IMAGES, BATCH = 1200, 50
EPOCHS = {"spurious": 3, "balanced": 10}


def worlds(seed):
    rng = np.random.default_rng(seed)
    objects = [PAINTERS[name] for name in leaves.CLASSES]
    seen, unseen = (Sources(objects, [plates(draw, count, rng) for draw in leaves.KINDS.values()]) for count in (16, 8))
    many = probes_of(unseen, leaves.CLASSES, list(leaves.KINDS), leaves.SIZE, rng)[1]
    return {
        arm: (data_of(seen, unseen, IMAGES, share, leaves.SIZE, seed + 1), many) for arm, share in leaves.CORRELATION.items()
    }


def train(net, data, seed, epochs):
    images, labels = dataset(data.train).tensors
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.02)
    steps = epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    net.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=generator).split(BATCH):
            some = images[rows]
            flip = torch.rand(len(some), generator=generator) < 0.5
            some = torch.where(flip[:, None, None, None], some.flip(-1), some)
            loss = nn.functional.cross_entropy(net(some), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for seed in args.seeds:
        both = worlds(seed)
        torch.save(
            [both["balanced"][1].images, both["balanced"][1].labels, both["balanced"][1].masks],
            args.folder / f"{seed}-probe.pt",
        )
        for arm in leaves.CORRELATION:
            data = both[arm][0]
            for name in NETWORKS:
                file = args.folder / f"{seed}-{arm}-{name.replace(' ', '_')}.pt"
                if file.exists():
                    continue
                start = time.time()
                torch.manual_seed(seed)
                net = train(NETWORKS[name](), data, seed, EPOCHS[arm])
                groups = group_accuracies(net, data.test)
                images, labels = dataset(data.validation).tensors
                with torch.no_grad():
                    accuracy = float((net(images).argmax(1) == labels).float().mean())
                torch.save({"state": net.state_dict(), "accuracy": accuracy, "groups": groups.tolist()}, file)
                print(seed, arm, name, round(time.time() - start), "s", accuracy, groups.round(2).tolist(), flush=True)


if __name__ == "__main__":
    main()
