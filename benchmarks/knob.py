"""How much faster is it to leave a part frozen? Beside the book's recipe in PyTorch, from the same source weights.

python benchmarks/knob.py [DATA] [--px 224]

    .venv/bin/pip install --target build/torch torch==2.13.0        what it is compared with

Each row goes from picture files to test accuracy: reading, five epochs (twenty for a head), valid after each, test; `turn` are
its seconds without the test, as one turns the knob in class. The rate of the head is chosen on valid, the others have the
lesson's. Nothing else should run meanwhile. Writes benchmarks/knob_NAME_PX.csv.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / 'data' / 'make' / 'pretrain')]
import pandas as pd

import frozen
import utils
from lesson import parameters

sys.path.append(str(utils.BUILD / 'torch'))  # only now, for gluoncv can't be imported where there is a new PyTorch
import torch
from resnet import ResNet18, from_gluon

BATCH, RATES = 32, [0.01, 0.03, 0.1]


def gluon(dataset, px, lr, at, num_epochs):
    """(valid accuracy, function that gives the test accuracy): what trains is what lies above the cut."""
    utils.seed_everything(0)
    net = utils.with_new_head(utils.pretrained(), dataset.classes)
    if at == 0:
        part, batches = net, lambda split, train=False: utils.batches(split, net, px, BATCH, augment=train)
    else:
        below, part = frozen.cut(net, at)
        below = frozen.int8(below, dataset.train, px)
        batches = lambda split, train=False: frozen.batches(below, split, px, BATCH, shuffle=train)  # noqa: E731
    history = utils.train(part, batches(dataset.train, True), batches(dataset.valid), num_epochs, lr)
    return history.valid.max(), lambda: utils.accuracy(*utils.predictions(part, batches(dataset.test)))


class Pictures(torch.utils.data.Dataset):
    def __init__(self, pictures, px, augment=False):
        self.pictures, self.px, self.crop = pictures, px, utils.random_crop if augment else utils.centre_crop

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, i):
        path, label = self.pictures[i]
        return utils.normalize(self.crop(utils.open_picture(path, self.px), self.px), utils.MEAN, utils.STD), label


def loader(data, train=False):
    workers = 0 if isinstance(data, torch.utils.data.TensorDataset) else 2
    return torch.utils.data.DataLoader(data, BATCH, shuffle=train, num_workers=workers, drop_last=train)


def pytorch(dataset, px, lr, best=False, head_only=False, num_epochs=5):
    """The same in PyTorch, as the book writes it; `best`: in bfloat16 with the channels last."""
    torch.manual_seed(0)
    net = from_gluon(ResNet18(), utils.read_weights(utils.ROOT / 'data' / 'weights' / 'resnet18_v2.safetensors')[0])
    net.output = torch.nn.Linear(512, len(dataset.classes))
    torch.nn.init.xavier_uniform_(net.output.weight)
    net = net.to(memory_format=torch.channels_last) if best else net
    data = {split: Pictures(getattr(dataset, split), px, split == 'train' and not head_only) for split in utils.SPLITS}
    if head_only:
        data, net.features = {split: through(net.features, data[split]) for split in data}, torch.nn.Identity()
    groups = [{'params': net.features.parameters()}, {'params': net.output.parameters(), 'lr': 10 * lr}]
    optimizer, scores = torch.optim.SGD(groups, lr=lr, weight_decay=0.001), []
    for _ in range(num_epochs):
        for X, y in loader(data['train'], train=True):
            optimizer.zero_grad()
            with torch.autocast('cpu', torch.bfloat16, enabled=best):
                loss = torch.nn.functional.cross_entropy(net.train()(X), y)
            loss.backward()
            optimizer.step()
        scores.append(pytorch_accuracy(net, data['valid'], best))
    return max(scores), lambda: pytorch_accuracy(net, data['test'], best)


@torch.inference_mode()
def through(features, pictures):
    Xs, ys = zip(*((features.eval()(X), y) for X, y in loader(pictures)))
    return torch.utils.data.TensorDataset(torch.cat(Xs).clone(), torch.cat(ys))


@torch.inference_mode()
def pytorch_accuracy(net, data, best):
    with torch.autocast('cpu', torch.bfloat16, enabled=best):
        return sum(int((net.eval()(X).argmax(1) == y).sum()) for X, y in loader(data)) / len(data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', nargs='?', default='kitchen')
    parser.add_argument('--px', type=int, default=128)
    args = parser.parse_args()
    out = HERE / f'knob_{Path(args.data).name}_{args.px}.csv'
    rows = []

    def measure(name, recipe, lr, **how):
        """Add a row: `recipe` at the rate `lr`, with the test accuracy."""
        started = time.time()
        valid, test = recipe(dataset, args.px, lr, **how)
        turn = time.time() - started
        rows.append(
            {'what': name, 'lr': lr, 'valid': valid, 'turn': turn, 'test': test(), 'seconds': time.time() - started}
        )
        pd.DataFrame(rows).round(4).to_csv(out, index=False)
        print(rows[-1], flush=True)

    dataset, whole = utils.find_data(args.data), parameters()['lr']['fine-tuned']
    frozen.CACHE = utils.BUILD / 'cache-of-knob'
    shutil.rmtree(frozen.CACHE, ignore_errors=True)
    head = max(RATES, key=lambda lr: gluon(dataset, args.px, lr, 'output', 20)[0])
    shutil.rmtree(frozen.CACHE)
    for name, at, lr, num_epochs in (('head only', 'output', head, 20), ('last stage', 'stage4', whole, 5)):
        for when in ('first', 'second'):
            measure(f'{name}, {when} time', gluon, lr, at=at, num_epochs=num_epochs)
    shutil.rmtree(frozen.CACHE)
    measure('PyTorch, as the book', pytorch, whole)
    measure('whole network', gluon, whole, at=0, num_epochs=5)
    measure('PyTorch, head only', pytorch, head, head_only=True, num_epochs=20)
    measure('PyTorch, bfloat16, channels last', pytorch, whole, best=True)
    table = pd.read_csv(out).set_index('what')
    print(table.assign(share=table.seconds / table.seconds['PyTorch, as the book']).round(3))


if __name__ == '__main__':
    main()
