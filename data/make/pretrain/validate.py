"""How good is a source network on Tiny ImageNet's validation pictures, and how often does it answer like its teacher?

python data/make/pretrain/validate.py WEIGHTS.safetensors tiny-imagenet-200/val SAMPLES [--px 128] [--pictures 10000]

Top-1 is among Tiny ImageNet's 200 classes; agreement is among all 1000. SAMPLES: see pack.py.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from torch.nn import functional as F

from pack import imagenet_numbers, square
from pretrain import MEAN, STD, TEACHER_PX, Teacher
from resnet import ResNet18, from_gluon


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('weights')
    parser.add_argument('val', type=Path)
    parser.add_argument('samples', type=Path)
    parser.add_argument('--px', type=int, default=128)
    parser.add_argument('--pictures', type=int, default=10000)
    args = parser.parse_args()
    number = imagenet_numbers(args.samples)
    lines = [line.split('\t')[:2] for line in (args.val / 'val_annotations.txt').read_text().splitlines()]
    labels = torch.tensor([number[name] for _, name in lines][: args.pictures])
    X = torch.from_numpy(np.stack([square(args.val / 'images' / file, 64) for file, _ in lines[: args.pictures]]))
    classes, net, teacher = labels.unique(), from_gluon(ResNet18(), load_file(args.weights)).eval(), Teacher()
    right = alike = 0
    for x, y in zip(X.split(100), labels.split(100)):
        x = x.permute(0, 3, 1, 2) / 255
        logits = net((F.interpolate(x, size=args.px, mode='bilinear') - MEAN) / STD)
        right += (classes[logits[:, classes].argmax(1)] == y).sum().item()
        guesses = teacher(F.interpolate(x, size=TEACHER_PX, mode='bilinear'))[0].argmax(1)
        alike += (logits.argmax(1) == guesses).sum().item()
    print(f'{len(X)} pictures at {args.px} px: top-1 {right / len(X):.3f}, like the teacher {alike / len(X):.3f}')


if __name__ == '__main__':
    main()
