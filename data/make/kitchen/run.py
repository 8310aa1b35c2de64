"""Render a pool of kitchen pictures, to choose from:

    python run.py OUT --first 1100 --last 2150 --processes 2

Writes OUT/<number>.jpg and a line of OUT/pictures.jsonl for each number first <= number < last. Class and
kind are drawn from the number and --hard-share (`plan`), half of them hot dogs. Can be stopped and started again: what
is there is kept.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import time
import traceback
from pathlib import Path

import numpy as np
from tqdm import tqdm


def plan(number, hard_share):
    """The kind of picture `number`: the same on every machine, whatever else is rendered."""
    from scene import KINDS

    rng = np.random.default_rng([2024, number])
    hotdog, hard = rng.random() < 0.5, rng.random() < hard_share
    names = [name for name, kind in KINDS.items() if kind.hotdog == hotdog and (hotdog or kind.hard == hard)]
    return names[rng.integers(len(names))]


def render(number, kind, hard_share, folder, size, samples):
    """Render one picture into the folder; its line, as a dictionary."""
    import scene

    kind = kind or plan(number, hard_share)
    jpeg, facts = scene.picture(number, kind, size, samples)
    path = Path(folder, f'{number:05d}.jpg')
    path.with_suffix('.part').write_bytes(jpeg)
    path.with_suffix('.part').rename(path)
    name = 'hotdog' if scene.KINDS[kind].hotdog else 'not-hotdog'
    line = {'number': number, 'file': path.name, 'class': name, 'kind': kind, 'hard': scene.KINDS[kind].hard}
    return {**line, 'size': size, 'samples': samples, **facts, 'sha256': hashlib.sha256(jpeg).hexdigest()}


def work(job):
    """Render one picture in a process of the pool: number, line or None, seconds of CPU, error or None."""
    start = time.process_time()
    try:
        return job[0], render(*job), time.process_time() - start, None
    except Exception:
        return job[0], None, time.process_time() - start, traceback.format_exc()


def silence(log):
    """Send what Blender prints, in C, to a file."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)


def done(table, folder):
    """Numbers that have both a whole line in the table and a picture."""
    lines = table.read_text().splitlines() if table.exists() else []
    entries = [json.loads(line) for line in lines if line.endswith('}')]
    return {entry['number'] for entry in entries if (folder / entry['file']).exists()}


def run(jobs, out, processes):
    """Do the jobs, several at a time, writing lines as they come; errors go to OUT/errors.txt."""
    cpu, failed = [], []
    pool = multiprocessing.get_context('spawn').Pool(processes, silence, [str(out / 'blender.log')], 100)
    with pool, (out / 'pictures.jsonl').open('a') as lines, tqdm(total=len(jobs), unit='picture') as bar:
        for number, line, seconds, error in pool.imap_unordered(work, jobs):
            if error:
                failed.append(f'{number}\n{error}\n')
                (out / 'errors.txt').write_text('\n'.join(failed))
            else:
                lines.write(json.dumps(line) + '\n')
                lines.flush()
            cpu.append(seconds)
            bar.set_postfix_str(f'{np.mean(cpu):.1f} s of CPU each, {len(failed)} failed')
            bar.update()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='folder for the pictures; made if missing')
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument('--last', type=int, default=2200, help='one past the last number')
    parser.add_argument('--processes', type=int, default=1, help='each uses one thread')
    parser.add_argument('--size', type=int, default=256, help='pixels')
    parser.add_argument('--samples', type=int, default=10, help='rays per pixel, before the denoiser')
    parser.add_argument('--hard-share', type=float, default=0.1, help='of the others; choose.py may take fewer')
    parser.add_argument('--kind', help='this food only, to look at it')
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    have = done(args.out / 'pictures.jsonl', args.out)
    numbers = [n for n in range(args.first, args.last) if n not in have]
    try:
        run(
            [(n, args.kind, args.hard_share, str(args.out), args.size, args.samples) for n in numbers],
            args.out,
            args.processes,
        )
    except KeyboardInterrupt:
        print('\nStopped. The same command goes on from here.')


if __name__ == '__main__':
    main()
