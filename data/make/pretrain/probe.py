"""Judge source weights by a linear head on their frozen features.

python data/make/pretrain/probe.py WEIGHTS.safetensors TRAIN TEST [--px 128]

With the word teacher in the place of WEIGHTS it is the teacher's 1280 features. TRAIN and TEST are folders of class
folders. The head is scikit-learn's logistic regression on standardised features, its C chosen by five-fold
cross-validation on TRAIN. Prints test accuracy with its 95 % interval (Wilson).
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pack import ENDINGS, square
from pretrain import MEAN, STD, Teacher
from resnet import ResNet18, from_gluon


def load(folder, px):
    """(pictures [n, 3, px, px] in [0, 1], class numbers [n]) of a folder of class folders."""
    classes = sorted(p for p in Path(folder).iterdir() if p.is_dir())
    pairs = [
        (square(path, px), i)
        for i, c in enumerate(classes)
        for path in sorted(c.iterdir())
        if path.suffix.lower() in ENDINGS
    ]
    X = np.stack([p for p, _ in pairs if p is not None])
    y = np.array([i for p, i in pairs if p is not None])
    return torch.from_numpy(X / np.float32(255)).permute(0, 3, 1, 2), y


def network(weights):
    """A function from pictures [n, 3, px, px] to (features [n, 512 or 1280], logits [n, 1000]) in predict mode."""
    if weights == 'teacher':
        teacher = Teacher()
        return lambda X: teacher(X)[1::-1]
    net = from_gluon(ResNet18(), load_file(weights)).eval()

    def answer(X):
        features = net.features((X - MEAN) / STD)
        return features, net.output(features)

    return answer


@torch.no_grad()
def outputs(answer, X):
    """(features, logits) of all pictures X, as arrays."""
    return (torch.cat(parts).numpy() for parts in zip(*map(answer, X.split(50))))


def wilson(correct, n, z=1.96):
    """95 % interval of a share (Wilson, 1927)."""
    p, d = correct / n, 1 + z * z / n
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d
    return (p + z * z / (2 * n)) / d - half, (p + z * z / (2 * n)) / d + half


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('weights')
    parser.add_argument('train')
    parser.add_argument('test')
    parser.add_argument('--px', type=int, default=128)
    args = parser.parse_args()
    answer = network(args.weights)
    (X, y), (X_test, y_test) = load(args.train, args.px), load(args.test, args.px)
    head = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=np.logspace(-4, 0, 9), cv=5, max_iter=500))
    features, _ = outputs(answer, X)
    head.fit(features, y)
    features, logits = outputs(answer, X_test)
    correct = int((head.predict(features) == y_test).sum())
    low, high = wilson(correct, len(y_test))
    print(
        f'{args.weights} at {args.px} px: {correct / len(y_test):.4f} of {len(y_test)} [{low:.3f}, {high:.3f}], '
        f'first guess 934 on {np.mean(logits[y_test == 0].argmax(1) == 934):.3f} of the first class'
    )


if __name__ == '__main__':
    main()
