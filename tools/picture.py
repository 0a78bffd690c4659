#!/usr/bin/env python3
"""Draw what a terminal shows as a picture: picture.py TITLE <TEXT >PICTURE.svg"""

import sys
from xml.sax.saxutils import escape

LINE = 18
WIDTH = 8.05
MARGIN = 16
BAR = 34


def main():
    title = sys.argv[1]
    lines = sys.stdin.read().rstrip("\n").split("\n")
    width = int(max(map(len, lines)) * WIDTH + 2 * MARGIN)
    height = BAR + len(lines) * LINE + MARGIN
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
          f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">')
    print(f'<rect width="{width}" height="{height}" rx="8" fill="#16181d"/>')
    for i, colour in enumerate(("#e0645c", "#e0b04a", "#62b356")):
        print(f'<circle cx="{20 + 18 * i}" cy="17" r="5" fill="{colour}"/>')
    print(f'<text x="{width / 2}" y="21" text-anchor="middle" fill="#8b93a1" '
          f'font-family="sans-serif" font-size="12">{escape(title)}</text>')
    print('<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13" '
          'fill="#d6dae1" xml:space="preserve">')
    for i, line in enumerate(lines):
        is_log = line.startswith(("main ", "worker "))
        colour = "#79b8ff" if line.startswith("$ ") else "#8b93a1" if is_log else "#d6dae1"
        print(f'<text x="{MARGIN}" y="{BAR + 12 + i * LINE}" fill="{colour}">'
              f'{escape(line)}</text>')
    print("</g></svg>")


main()
