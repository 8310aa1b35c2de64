"""Make tests/fixtures/resnet18_v2.safetensors: four pictures and what the source network gives for them in PyTorch.

python data/make/pretrain/resnet_fixture.py WEIGHTS.safetensors [--last build/pretrain/last.pt PACKED.npy]

With --last it also says on how many pictures the first guess stays the same when the weights are rounded to half
precision.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from lite0_fixture import draw
from pretrain import MEAN, STD
from resnet import ResNet18, from_gluon

OUT = Path(__file__).parents[3] / 'tests' / 'fixtures' / 'resnet18_v2.safetensors'


@torch.no_grad()
def first_guesses(net, pictures):
    """Class numbers [n] of uint8 pictures [n, px, px, 3]."""
    X = (torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255 - MEAN) / STD
    return torch.cat([net(x).argmax(1) for x in X.split(100)])


def agreement(rounded, last, packed, n=2000):
    """On how many of n pictures the rounded network and the one it was rounded from guess alike, as a share."""
    exact = ResNet18()
    exact.load_state_dict({k[4:]: v for k, v in torch.load(last)['mean'].items() if k.startswith('net.')})
    pictures = np.load(packed, mmap_mode='r')[:n, 16:-16, 16:-16]
    return (first_guesses(rounded, pictures) == first_guesses(exact.eval(), pictures)).float().mean().item()


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('weights')
    parser.add_argument('--last', nargs=2)
    args = parser.parse_args()
    net = from_gluon(ResNet18(), load_file(args.weights)).eval()
    rng = np.random.default_rng(0)
    X = np.stack([draw(cells, rng) for cells in (3, 6, 12, 32)]).repeat(4, 1).repeat(4, 2)
    batch = (torch.from_numpy(X).permute(0, 3, 1, 2) / 255 - MEAN) / STD
    with torch.no_grad():
        save_file({'X': np.ascontiguousarray(X[:, ::4, ::4]), 'scores': net(batch).numpy()}, OUT)
    if args.last:
        print(f'same first guess after rounding: {agreement(net, *args.last):.4f}')
