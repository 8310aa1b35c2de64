md('''
# Which source?

**The question: which source network should one copy from?**

So far there was one, the ResNet-18 in the box. Three notebooks asked how to train on top of it. But what a head can learn is
limited by the features it gets, and these come from the source. Better ones can be had. What do they bring, and what do they
cost?

| | |
|---|---|
| You need to know | notebook 02: features, a head fitted to its end; notebook 03: *similar* and *different* pictures |
| You will know | whether a network that is better on ImageNet makes better features, for hot dogs and for digits; what that costs; how much of it is training and how much the shape of the network; four kinds of transfer |
| To run it takes | two minutes on two cores |
''')
code('''
import sys
import time

sys.path.insert(0, '..')
import arms
import figures
import frozen
import utils
from sources import NETWORKS, is_here

from matplotlib import pyplot as plt
import numpy as onp
import pandas as pd
''')
code('''
network, px = 'efficientnet_lite0', 128  # the source that is tried live, beside the one in the box
seed = 0
''', 'parameters')
md('''
## The networks

They have all been trained on ImageNet's 1,000 classes, but for the first one, which is our own and has seen about a hundredth of what
the others saw. *top-1* is how often the first guess is right on ImageNet's validation pictures, in per cent, as published.
''')
code('''
FACTS = ['parameters', 'top1', 'published', 'usual_px', 'licence']
table = pd.DataFrame({name: {fact: getattr(source, fact) for fact in FACTS}
                      for name, source in NETWORKS.items()}).T
table['megabytes'] = (4 * table.parameters / 10**6).astype(float).round(0)
table.fillna('')
''')
md('''
The first four are here: in the box, and in packages that were installed with this project. The others are downloaded when they are asked for
the first time, `make weights` gets them all. These are here now:
''')
code('''
here = [name for name in NETWORKS if is_here(name)]
here
''')
md('''
## Your guess

With the head of notebook 02, fitted to its end, the box gets about 87 of 100 of kitchen's valid pictures right. EfficientNet-Lite0 has less than half
of its parameters, but it has seen all of ImageNet.

**What do you expect**, of 100, from a head on Lite0's features? And from one on a network with random weights, which has seen
nothing? For food, and for digits (the box: 98)? And how long does it take, if the box takes 100 seconds?
''')
code('''
guess_lite0 = {'kitchen': None, 'digits': None}
guess_random = {'kitchen': None, 'digits': None}
guess_seconds = None
''')
md('''
## One of them, live

Everything that was said of the box holds for any source: cut at the output, features once, a head fitted to its end. Half of kitchen's
training pictures, a hundred of each class:
''')
code('''
dataset = arms.some_of(utils.find_data('kitchen'), 100, seed)

def try_out(source):
    net = utils.with_new_head(source, dataset.classes)
    below, above = frozen.cut(net, 'output')
    started = time.time()
    X = below.features(dataset.train, px)
    valid = frozen.fit(below, above, dataset, px).valid.max()
    return {'features': X.shape[1], 'valid': valid, 'seconds': round(time.time() - started, 1)}
''')
code('''
live = pd.DataFrame({name: try_out(utils.pretrained(name)) for name in ['resnet18_v2', network]})
live
''')
md('''
One subset is an anecdote. `python -m benchmarks.sources heads kitchen` (and `digits`) fitted a head on five random subsets for each source, at
128 px and at 224; a hundred pictures of each kind of food, or fifty of each digit. Is your run where five subsets say that one more should lie?
''')
code('''
measured = pd.read_csv('../benchmarks/sources.csv')

def of(data, network, px=128):
    return measured.query('data == @data and network == @network and px == @px')
''')
code('''
for name in live:
    low, high = utils.prediction_interval(of('kitchen', name, px).valid)
    inside = 'in' if low <= live[name].valid <= high else 'NOT in'
    print(f'{name}: {live[name].valid:.3f} is {inside} {low:.3f} to {high:.3f}')
''')
md('''
## How good is a source?

The published numbers are of different makers, and the box has none. So all were asked the same: which of 200 classes is
on this picture? The 10,000 valid pictures of *Tiny ImageNet* are small, 64 px, and were enlarged to what each network usually takes
(`python -m benchmarks.sources tiny`). Networks that are better on ImageNet are often better sources, too (Kornblith and others, 2019). Here?
''')
code('''
tiny = pd.read_csv('../benchmarks/sources_tiny.csv').set_index('network').top1
sources = [*tiny.sort_values().index]
colors = dict(zip(sources, plt.cm.plasma(onp.linspace(0, 0.85, len(sources)))))
pd.DataFrame({'Tiny ImageNet': tiny.round(3), 'published': table.top1}).loc[sources]
''')
code('''
fig, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout='constrained')
for ax, data in zip(axes, ['kitchen', 'digits']):
    for name, color in colors.items():
        some = of(data, name).valid
        ax.plot([tiny[name]] * len(some), some, 'o', color=color, ms=9, alpha=0.7, label=name)
    nothing = of(data, 'resnet18_v2, random weights').valid.mean()
    ax.axhline(nothing, color='dimgrey', ls=':', lw=2, label='random weights')
    ax.set(title=data, xlabel='top-1 of the source, Tiny ImageNet', ylabel='accuracy on valid')
    figures.crosses(ax, [tiny[network]], [guess_lite0[data]])
axes[1].legend(frameon=False, fontsize='small')
figures.present(fig, figures.words_of(fig))
''')
md('''
KORNBLITH

## What does it cost?

A head is fitted in a moment; what takes time is the frozen part. From picture files to features, seconds for 1,000 pictures on two cores, at
128 and at 224 px (`python -m benchmarks.sources seconds`). What lies up and to the left is better; what has nothing up and to the left
of it is on the *frontier*, and anything else is a bad choice.
''')
code('''
seconds = pd.read_csv('../benchmarks/sources_seconds.csv')
seconds = seconds.set_index(['network', 'px']).seconds_for_1000
seconds.unstack().round(1)
''')
code('''
fig, ax = plt.subplots(figsize=(12, 4.5), layout='constrained')
for name, color in colors.items():
    costs = [seconds[name, size] for size in (128, 224)]
    valid = [of('kitchen', name, size).valid.mean() for size in (128, 224)]
    ax.plot(costs, valid, 'o-', color=color, lw=3, ms=9, label=name)
ax.set(xlabel='seconds for 1,000 pictures', ylabel='accuracy on valid', xlim=(0, None))
ax.legend(frameon=False, loc='lower right')
figures.present(fig, figures.words_of(fig))
''')
md('''
COST

## Training or shape?

A network is a shape, and weights. How much comes from the shape alone? Random weights have seen nothing:
''')
code('''
RANDOM = [f'{name}, random weights' for name in ('resnet18_v2', 'efficientnet_lite0')]
names = [*RANDOM, *sources]
shape_or_training = pd.DataFrame({data: {name: utils.spread(of(data, name).valid) for name in names}
                                  for data in ('kitchen', 'digits')})
shape_or_training
''')
md('''
SHAPE

## The originals come home

Three of the lessons in this collection were first told of other networks. With their weights here, the same cells repeat them: `retrain.py`
on Inception v3, dense 256 on VGG16, and digits on VGG16, with all but the dense layers frozen and with the first 8 layers frozen. Without
them the next cells say what brings them.
''')
code('''
def is_there(name):
    if not is_here(name):
        print(f'{name} is not here: make weights NAMES={name}')
    return is_here(name)
''')
md('''
`retrain.py`: open notebook 02 with `network, px = 'inception_v3', 299` for all of it. Here, its features with a head that is
fitted to its end; it takes some minutes:
''')
code('''
if is_there('inception_v3'):
    px = 299
    print(try_out(utils.pretrained('inception_v3')))
''')
md('''
Keras' head with 256 neurons, on VGG16's maps, at 224 px; some minutes, too:
''')
code('''
def dense_256():
    net = frozen.with_head(utils.pretrained('vgg16'), dataset.classes, 'dense256')
    below, above = frozen.cut(net, 'output')
    train_iter = below.batches(dataset.train, 224, 16, train=True)
    valid_iter = below.batches(dataset.valid, 224, 100)
    return utils.train(above, train_iter, valid_iter, 20, 0.01, head=1)

if is_there('vgg16'):
    print(dense_256())
''')
md('''
Digits on VGG16 (Gupta, 2017), 20 of each class, so that it takes minutes and not hours. Cut at `dense0` all but the dense layers is frozen, at
`conv8` the first 8 layers are:
''')
code('''
def digits_on_vgg16(at):
    some = arms.some_of(arms.digits(), 20, seed)
    net = utils.with_new_head(utils.pretrained('vgg16'), some.classes)
    below, above = frozen.cut(net, at)
    train_iter = below.batches(some.train, 224, 32, train=True)
    return utils.train(above, train_iter, below.batches(some.valid, 224, 100), 5, 0.001)
''')
code('''
if is_there('vgg16'):
    print(digits_on_vgg16('dense0'), digits_on_vgg16('conv8'))
''')
md('''
## Four kinds of transfer

*Pretraining* made the source's weights, on another task. *Transfer* is what we do with them; and weights are not the only thing that can be
carried over. A survey (Pan and Yang, 2010) tells four kinds apart by *what* is carried over:

| what | how | here |
|---|---|---|
| instances | old pictures are used again, weighted by how much they resemble the new ones | 29 % of the pictures that the box saw last were food ([how](../data/weights/README.md)) |
| features | the source says how a picture is described | notebook 02, and this one |
| models | weights are where training begins, or what it must not leave | notebooks 01 and 03: fine-tuning |
| relations | how things hang together in one field (who advises whom) is a pattern for another (who directs whom) | nothing in this collection |

**Where this matters most** are fields with few labels. A radiologist's verdict costs money, and pictures of a rare disease are rare. There a
source network brings what every picture has, edges, textures, shapes, so that the few labels have only the rest to teach.
How much that is depends on the likeness: look at the digits above.
''')
md('''
ANSWER
''')
