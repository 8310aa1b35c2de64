"""The same network in PyTorch, to compare with. No part of the project: rivals.py says how to install it."""

import sys

import mended_mxnet  # before PyTorch: gluoncv can't be imported where there is a new one

from files import BUILD
from folders import SPLITS
from pictures import centre_crop, normalize, open_picture, random_crop
from problem import Problem
from sources import MEAN, NETWORKS, STD, lite

sys.path.append(str(BUILD / 'torch'))  # last, for PyTorch brings versions of other packages along

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    raise Problem('PyTorch is missing; install it: .venv/bin/pip install --target build/torch torch==2.13.0') from None

from data.make.pretrain.resnet import ResNet18, from_gluon

BATCH = 32

# ---- The book's recipe ----------------------------------------------------------------------------------------------


class Pictures(torch.utils.data.Dataset):
    """(numbers [3, px, px], class number) of each picture, normalised; with train in a random crop."""

    def __init__(self, pictures, px, train=False, mean=MEAN, std=STD):
        self.pictures, self.px, self.mean, self.std = pictures, px, mean, std
        self.crop = random_crop if train else centre_crop

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, i):
        path, label = self.pictures[i]
        image = self.crop(open_picture(path, self.px), self.px)
        return normalize(image, self.mean, self.std), label


def loader(data, train=False):
    """Batches of them, which as many processes read as there are cores."""
    workers = {'num_workers': torch.get_num_threads(), 'persistent_workers': True}
    return torch.utils.data.DataLoader(data, min(BATCH, len(data)), shuffle=train, drop_last=train, **workers)


def pretrained(num_classes):
    """The source network with a new head."""
    net = from_gluon(ResNet18(), NETWORKS['resnet18_v2'].weights())
    net.output = torch.nn.Linear(512, num_classes)
    torch.nn.init.xavier_uniform_(net.output.weight)
    return net


def recipe(dataset, px, lr, num_epochs, seed=0, bfloat16=False, channels_last=False, compiled=False):
    """(best valid accuracy, function that gives the test accuracy), as the book trains, in one of PyTorch's ways."""
    torch.manual_seed(seed)
    net = in_layout(pretrained(len(dataset.classes)), channels_last)
    if compiled:
        net.compile()
    body = {'params': net.features.parameters()}
    head = {'params': net.output.parameters(), 'lr': 10 * lr}
    optimizer = torch.optim.SGD([body, head], lr=lr, weight_decay=0.001)
    train, valid, test = (loader(Pictures(dataset[split], px, split == 'train'), split == 'train') for split in SPLITS)
    scores = []
    for _ in range(num_epochs):
        for X, y in train:
            step(net, optimizer, in_layout(X, channels_last), y, bfloat16)
        scores.append(accuracy(net, valid, bfloat16, channels_last))
    return max(scores), lambda: accuracy(net, test, bfloat16, channels_last)


def in_layout(thing, channels_last):
    """A network or pictures, in the layout that PyTorch says is the fast one, or as they are."""
    return thing.to(memory_format=torch.channels_last) if channels_last else thing


def step(net, optimizer, X, y, bfloat16=False):
    """A step of gradient descent."""
    optimizer.zero_grad()
    with torch.autocast('cpu', torch.bfloat16, enabled=bfloat16):
        loss = F.cross_entropy(net.train()(X), y)
    loss.backward()
    optimizer.step()


@torch.inference_mode()
def accuracy(net, batches, bfloat16=False, channels_last=False):
    net.eval()
    with torch.autocast('cpu', torch.bfloat16, enabled=bfloat16):
        correct = sum(int((net(in_layout(X, channels_last)).argmax(1) == y).sum()) for X, y in batches)
    return correct / len(batches.dataset)


# ---- Its speed ------------------------------------------------------------------------------------------------------


def steps(px):
    """(a step of training, a step of inference) on one batch of random numbers."""
    net = ResNet18(2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, weight_decay=0.001)
    X, y = torch.randn(BATCH, 3, px, px), torch.zeros(BATCH, dtype=torch.long)

    def inference():
        with torch.inference_mode():
            net.eval()(X)

    return lambda: step(net, optimizer, X, y), inference


def features_of(name, px, bfloat16=False, channels_last=False, compiled=False):
    """A function: pictures -> the features [n, ...] of the source network `name`, in one of PyTorch's ways."""
    facts, net = NETWORKS[name], in_layout(source(name).eval(), channels_last)
    if compiled:
        net.compile(options={'freezing': True})  # the weights are constants

    @torch.no_grad()
    def run(pictures):
        data = loader(Pictures(pictures, px, mean=facts.mean, std=facts.std))
        with torch.autocast('cpu', torch.bfloat16, enabled=bfloat16):
            return torch.cat([net(in_layout(X, channels_last)).float() for X, _ in data]).numpy()

    return run


def source(name):
    """The source network without its output layer; an EfficientNet-Lite is timm's. Raises ImportError."""
    weights = NETWORKS[name].weights()
    if name == 'resnet18_v2':
        return from_gluon(ResNet18(), weights).features
    if 'lite' not in name:
        raise Problem(f'{name} is not written in PyTorch here.')
    import timm

    net = timm.create_model(f'tf_{name}')
    names = [key for key in net.state_dict() if not key.endswith('num_batches_tracked')]  # in the same order
    tensors = [torch.tensor(lite.turned(array).copy()) for array in weights.values()]
    net.load_state_dict(dict(zip(names, tensors, strict=True)), strict=False)
    net.reset_classifier(0)
    return net
