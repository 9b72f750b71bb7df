"""Draws accuracy by epoch of recorded runs as an SVG.

    python plot_learning.py OUT.svg "LABEL=results/RUN.jsonl" ...
"""
import json
import sys

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 300, 60, 34, 20, 48
COLOURS = ["#4E79A7", "#E15759", "#59A14F", "#B07AA1"]


def curve(path):
    lines = (json.loads(line) for line in open(path))
    return [(line["epoch"], line["valid/accuracy"]) for line in lines if "valid/accuracy" in line]


def main():
    out, *runs = sys.argv[1:]
    curves = [(label, curve(path)) for label, path in (run.rsplit("=", 1) for run in runs)]
    last = max(epoch for _, points in curves for epoch, _ in points)
    x = lambda epoch: LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / max(1, last - 1)
    y = lambda accuracy: TOP + (HEIGHT - TOP - BOTTOM) * (1 - accuracy)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
             f'font-size="13"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for tick in (0, .25, .5, .75, 1):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    step = max(1, last // 10)
    for epoch in range(1, last + 1, step):
        parts.append(f'<text x="{x(epoch):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{epoch}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">epoch</text>')
    parts.append(f'<text x="14" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" '
                 f'transform="rotate(-90 14 {(TOP + HEIGHT - BOTTOM) / 2})">validation accuracy</text>')
    entry = (WIDTH - LEFT - RIGHT) / len(curves)
    for i, (label, points) in enumerate(curves):
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(f"{x(epoch):.1f},{y(accuracy):.1f}" for epoch, accuracy in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        left = LEFT + entry * i
        parts.append(f'<line x1="{left:.0f}" x2="{left + 24:.0f}" y1="18" y2="18" stroke="{colour}" stroke-width="3"/>'
                     f'<text x="{left + 30:.0f}" y="22">{label}</text>')
    open(out, "w").write("\n".join(parts) + "\n</svg>\n")


if __name__ == "__main__":
    main()
