md('''
# How much to freeze

**The question: where to put the cut?**

In notebook 01 the whole network was trained, in notebook 02 only a head. Between them lies a knob with many positions: the
blocks below the cut stay frozen, the blocks above it are trained. Cut at block 0, and everything trains. Cut at the output,
and only the head does.

| | |
|---|---|
| You need to know | notebooks 01 and 02: source network, head, fine-tuning, frozen features, *valid* and *test* |
| You will know | what the knob costs and what it brings, with few pictures and with many, similar and different; how to say that a difference is real; what two well-known rules are worth here |
| To run it takes | two minutes on two cores |
''')
code('''
import inspect
import sys

sys.path.insert(0, '..')
import arms
import drawing
import figures
import frozen
import utils

from matplotlib import pyplot as plt
from mxnet.gluon.model_zoo import vision
import numpy as onp
import pandas as pd
''')
md('''
Hundreds of trainings stand behind this notebook, each to its own end. They took many hours, so they were made before, by
`python -m benchmarks.arms`, and their table is read here. What you run yourself is one of them. Choose which one in the next cell:
digits take half a minute, kitchen some minutes.
''')
code('''
likeness, per_class = 'different', 'all'  # 'similar' or 'different'; 'all' or 20
arm, lr, seed = 'first half frozen', 0.1, 0
''', 'parameters')
md('''
## First, your guess

Four cases: you have few pictures or many, and they are similar to what the source network has seen, or different. And five
*arms*, things that you could do:

| arm | what is copied | what trains |
|---|---|---|
| head only | all | the new head, fitted to its end |
| first half frozen | all | the head and the upper half: cut at `stage3` |
| fine-tuned | all | everything; the head ten times faster |
| head first | all | first the head, fitted to its end; then everything, at one low rate |
| from scratch | nothing | everything |

Which one is best in each case? Write your guesses in place of `None` before you run anything below. Leave it as it is, and
nothing breaks.
''')
code('''
guess = {('small', 'similar'): None,
         ('small', 'different'): None,
         ('large', 'similar'): None,
         ('large', 'different'): None}
''', 'guess')
code('''
assert {*guess.values()} <= {None, *arms.ARMS}, f'choose from {", ".join(arms.ARMS)}'
''')
md('''
## The pictures

*Similar* are pictures of food, as in the other notebooks, at 128 px. *Different* are handwritten digits from
scikit-learn, 8 x 8 grey dots, enlarged to 32 px:
''')
code('''
dataset = {'similar': utils.find_data('kitchen'), 'different': arms.digits()}
some = dataset['different'].train
figures.show([some[i * len(some) // 8] for i in range(8)], 32, alt='Eight digits, coarse and grey.')
''')
md('''
*Small* is 20 pictures of each class, other ones with each seed. *Large* is all there is. That is what the words mean here;
elsewhere "small" has been 1,000 pictures of each class, or a few thousand in all. A rule about "small" sets says little without
the number.
''')
code('''
cases = {('small', 'similar'): 20, ('small', 'different'): 20,
         ('large', 'similar'): 'all', ('large', 'different'): 'all'}

def pictures_of(likeness, per_class, seed=0):
    whole = dataset[likeness]
    return whole if per_class == 'all' else arms.some_of(whole, per_class, seed)

pd.DataFrame({case: {split: len(pictures_of(case[1], n)[split]) for split in utils.SPLITS}
              for case, n in cases.items()}).T
''')
md('''
**Augment with what leaves the class as it is.** A mirrored hot dog is a hot dog, so food is cropped and mirrored anew in every
epoch. A mirrored 3 is not a 3, and the left half of an 8 is nothing at all: digits are always seen whole.

## The places to cut

Our ResNet-18 has 13 blocks and an output layer, and training can begin at any of them. The scissors stand where the first half of
its layers ends:
''')
code('''
source = utils.pretrained()
drawing.show(source, 128, cut='stage3')
''')
md('''
Half of the layers are far less than half of the weights: the upper blocks are wide.
''')
code('''
weights = [sum(param.data().size for param in block.collect_params().values())
           for block in source.features]
share = sum(weights[:frozen.position(source, 'stage3')]) / sum(weights)
assert share < 0.1
f'{share:.0%} of the weights are below stage3'
''')
md('''
The rule that we shall test had an example: VGG16 reads handwritten digits, once with all but its dense layers frozen, once with
its first 8 layers frozen (Gupta, 2017). Both are positions of the same knob. In VGG16 they are the blocks with the numbers
''')
code('''
vgg16 = vision.vgg16()
frozen.position(vgg16, 'dense0'), frozen.position(vgg16, 'conv8')
''')
md('''
(with the pooling and activations between the convolutions counted, too).

## One training

This is all of it, for all arms:
''')
code('''
print(inspect.getsource(arms.experiment))
''')
md('''
Line by line:

- The seed, and the network that the arm begins with.
- Where the arm says so, the head is fitted to its end (`frozen.fit`, notebook 02), and BatchNorm keeps its statistics from here on.
  For *head only* that is all.
- The pictures. With new crops in every epoch the frozen blocks have to run in every epoch, too. Without crops they run once.
- `utils.train`, as in notebook 01. It ends five epochs after the best one on *valid* (*early stopping*), or after 30. An epoch has at
  least 300 pictures: who has fewer sees them several times.

**What do you expect?** The arm that you chose at the top: how many of 100 valid pictures will it call right at its best?
''')
code('''
guess_of_100 = None
''')
md('''
While it trains, the curve grows. And something to think about: with the first half frozen, is half of the time saved?
''')
code('''
chosen = pictures_of(likeness, per_class, seed)
watch = figures.Live(arm, arms.CAP, guess={arm: {arms.CAP: guess_of_100}})
net, history = arms.experiment(arms.ARMS[arm], source, chosen, likeness, lr, seed, watch=watch)
history.round(3)
''', 'live')
md('''
What is below the cut is still what it was in the source network, weights and BatchNorm statistics:
''')
code('''
num_frozen = frozen.position(net, arms.ARMS[arm].cut)
before, after = (utils.weights_of(one.features[:num_frozen]) for one in (source, net))
assert all((before[name] == after[name]).all() for name in before)
f'checked: {num_frozen} blocks have not moved'
''')
md('''
Does your run agree with the table? Its five seeds say where one more run should lie, with 95 % confidence: the *prediction
interval* of notebook 01.
''')
code('''
rows = arms.measured(dataset[likeness], likeness, per_class)
rows = rows[(rows.arm == arm) & (rows.lr == (str(lr) if arm != 'head only' else 'None'))]
low, high = utils.prediction_interval(rows.valid) if len(rows) > 2 else (0, 1)
inside = 'in' if low <= history.valid.max() <= high else 'NOT in'
f'{history.valid.max():.3f} is {inside} {low:.3f} to {high:.3f}, from {len(rows)} seeds'
''')
md('''
(Once in twenty it is not. With another rate than the best one, the table has no five seeds to compare with.)

## Turning the knob

**What do you expect?** Accuracy from block 0 (nothing frozen) to the output (only the head trains): rising, falling, or highest
somewhere between? Six guesses, of 100 valid pictures, for the food:
''')
code('''
guess_of_knob = [None, None, None, None, None, None]  # at 0, stage1, stage2, stage3, stage4, output
''')
code('''
places = {'0': 'fine-tuned', 'stage1': 'frozen below stage1', 'stage2': 'frozen below stage2',
          'stage3': 'first half frozen', 'stage4': 'frozen below stage4', 'output': 'head only'}
measured = {case: arms.measured(dataset[case[1]], case[1], n) for case, n in cases.items()}

def valid_of(case, arm):
    return measured[case].query('arm == @arm').valid.tolist()
''')
code('''
fig, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout='constrained')
for ax, case in zip(axes, [('large', 'similar'), ('large', 'different')]):
    knob = {place: valid_of(case, arm) for place, arm in places.items()}
    figures.plot_means(ax, knob, case[1], 'black')
    ax.set(title=', '.join(case), xlabel='first block that trains', ylabel='accuracy on valid')
figures.crosses(axes[0], range(6), guess_of_knob)
figures.present(fig, figures.words_of(fig))
''')
md('''
KNOB

## Four cases, five arms

A rate that suits one arm may ruin another, so each arm has its own in each case: with two seeds it climbed on *valid*, until both its
neighbours were worse. These are the rates that won, all of them inside of what was tried:
''')
code('''
rates = pd.DataFrame({case: measured[case].groupby('arm').lr.first() for case in cases}).T
rates[[name for name in arms.ARMS if name != 'head only']]
''')
md('''
Each arm to its own end, five seeds. A dot is a seed, the line is the mean, and a cross is your guess:
''')
code('''
fig, axes = plt.subplots(1, 4, figsize=(14, 4), sharey=True, layout='constrained')
for ax, case in zip(axes, cases):
    figures.plot_arms(ax, {arm: valid_of(case, arm) for arm in arms.ARMS}, guess[case])
    ax.set(title=', '.join(case), xlabel='accuracy on valid', ylabel='')
figures.present(fig, figures.words_of(fig))
''')
md('''
To the end is one thing, how long that takes is another. The same trainings against the clock: the best on *valid* so far, mean over
the seeds, after so many seconds on two cores (`python -m benchmarks.arms seconds similar`, and `different`; features, where they
are needed, not yet in the cache):
''')
code('''
seconds = pd.read_csv('../benchmarks/arms_seconds.csv', dtype={'per_class': str})
seconds = seconds.set_index(['likeness', 'per_class', 'arm'])

def against_time(case, arm):
    clock = seconds.loc[case[1], str(cases[case]), arm]
    if arm == 'head only':
        return [clock.once], [onp.mean(valid_of(case, arm))]
    curves = measured[case].query('arm == @arm').valid_by_epoch.tolist()
    best = [[max(curve[:epoch + 1]) for epoch in range(arms.CAP)] for curve in curves]
    longest = max(map(len, curves))
    return clock.once + clock.epoch_seconds * onp.arange(1, longest + 1), onp.mean(best, 0)[:longest]
''')
code('''
fig, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout='constrained')
for ax, case in zip(axes, [('large', 'similar'), ('large', 'different')]):
    for arm in arms.ARMS:
        ax.plot(*against_time(case, arm), color=figures.COLORS[arm], lw=3, marker='.', label=arm)
    ax.set(xscale='log', xlabel='seconds', ylabel='accuracy on valid', title=', '.join(case))
axes[1].legend(frameon=False, fontsize='small')
figures.present(fig, figures.words_of(fig))
''')
md('''
TIME

## The test set, opened once

All choices were made on *valid*. How many points does an arm lose, on *test*, to the one that was best on *valid*? We take the average over the
four cases, because who follows a rule doesn't know which case is coming.
''')
code('''
def right(case, arm):
    return onp.stack(measured[case].query('arm == @arm').right.tolist()).astype(float)

def lost(case, arm):
    mean = {arm: onp.mean(valid_of(case, arm)) for arm in arms.ARMS}
    return arms.resampled(right(case, max(mean, key=mean.get)) - right(case, arm))
''')
md('''
`arms.resampled` draws seeds and pictures again and again (*bootstrap*; Efron, 1979), and gives a mean each time. 95 % of them lie
between the `limits`.

Two rules can be found in courses. The first is from Stanford's CS231n, the second from an article that many courses repeat (Gupta,
2017). They agree in three cases of four. (For few, different pictures the first one puts a linear classifier on a lower block, which
is none of our arms; the nearest is the first half frozen.)
''')
code('''
rules = {'CS231n': ['head only', 'first half frozen', 'fine-tuned', 'fine-tuned'],
         'Gupta': ['head only', 'first half frozen', 'fine-tuned', 'from scratch']}
rules |= {f'always {arm}': [arm] * 4 for arm in arms.ARMS}
rules |= {'you': [*guess.values()]} if all(guess.values()) else {}
''')
code('''
def points_lost(rule):
    points = 100 * onp.mean([lost(case, arm) for case, arm in zip(cases, rule)], 0)
    low, high = arms.limits(points)
    return {'points lost': points.mean().round(1), '95 %': f'{low:.1f} to {high:.1f}'}

result = pd.DataFrame({who: points_lost(rule) for who, rule in rules.items()}).T
result
''', 'result')
md('''
And case by case, each arm beside the best one. Where the whole interval lies within two points, there is *no difference that matters*. Where it
spans zero and more than that, we *can't tell*.
''')
code('''
verdicts = pd.DataFrame({case: {arm: arms.verdict(*arms.limits(-lost(case, arm))) for arm in arms.ARMS}
                         for case in cases}).T
verdicts
''')
md('''
The accuracies themselves, on *test*, mean over the seeds ± standard deviation:
''')
code('''
pd.DataFrame({case: {arm: utils.spread(right(case, arm).mean(1)) for arm in arms.ARMS}
              for case in cases}).T
''')
md('''
## How many pictures does it take?

*Small* and *large* are two points on a line. Here is the line, for food and for digits, three seeds, each run to its end, all at the
rates that the search began with.

**What do you expect?** With five pictures of each class: how many of 100 valid pictures will fine-tuning call right, for the food?
''')
code('''
guess_with_five = None
''')
code('''
numbers = [1, 2, 5, 10, 20, 50, 100, 'all']

def by_number(likeness, arm):
    tables = {str(n): arms.measured(dataset[likeness], likeness, n) for n in numbers}
    found = {n: table.query('arm == @arm').valid.tolist()[:3] for n, table in tables.items()}
    return {n: values for n, values in found.items() if values}
''')
code('''
fig, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout='constrained')
for ax, likeness in zip(axes, dataset):
    for arm in 'head only', 'fine-tuned', 'from scratch':
        figures.plot_means(ax, by_number(likeness, arm), arm, figures.COLORS[arm])
    ax.set(title=likeness, xlabel='pictures per class', ylabel='accuracy on valid')
figures.crosses(axes[0], [2], [guess_with_five])
axes[1].legend(frameon=False)
figures.present(fig, figures.words_of(fig))
''')
md('''
NUMBERS

## Fewer copied blocks

The book's exercise: reuse fewer layers. The first blocks are copied, those above begin at random. What was copied stays frozen, or
trains too. It is the figure of Yosinski and others (2014), on other pictures, three seeds:
''')
code('''
copied = ['stage1', 'stage2', 'stage3', 'stage4', 'batchnorm2']

def by_place(likeness, end):
    table = arms.measured(dataset[likeness], likeness)
    return {place: table[table.arm == f'copied below {place}{end}'].valid.tolist() for place in copied}
''')
code('''
fig, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout='constrained')
for ax, likeness in zip(axes, dataset):
    for name, end, style in ('trained', '', '-'), ('frozen', ', frozen', '--'):
        figures.plot_means(ax, by_place(likeness, end), f'what was copied is {name}', 'black', style)
    ax.axhline(onp.mean(valid_of(('large', likeness), 'from scratch')), label='from scratch',
               color=figures.COLORS['from scratch'])
    ax.set(title=likeness, xlabel='copied: all below', ylabel='accuracy on valid')
axes[1].legend(frameon=False, fontsize='small')
figures.present(fig, figures.words_of(fig))
''')
md('''
LAYERS

ANSWER
''')
