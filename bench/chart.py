"""The chart of the figures, as SVG: how far ahead of the other side, on a log scale."""

import math
from xml.sax.saxutils import escape

ROW, TOP, NAME, BARS, TEXT = 26, 70, 190, 420, 420
LEAST, MOST = 0.1, 100
COLOURS = {True: "#2a7f4f", False: "#c0392b", None: "#7f8c8d"}


def at(ratio):
    """Where a ratio stands on the axis."""
    ratio = min(max(ratio, LEAST), MOST)
    return NAME + BARS * math.log(ratio / LEAST) / math.log(MOST / LEAST)


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def text(x, y, words, **style):
    given = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in style.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{given}>{escape(words)}</text>'


def ahead(row):
    """The ratio that the bar shows: to Erlang, else to the floor."""
    if row["ratio"] is not None:
        return row["ratio"]
    over_floor = row.get("over_floor")
    if over_floor and row["better"] == "lower":
        return 1 / over_floor
    return over_floor or None


def words_of(row, asked):
    unit = row["unit"]
    words = f"thole {number(row['thole'])} {unit}"
    if row["erlang"] is not None:
        words += f", Erlang {number(row['erlang'])}"
    if row.get("floor") is not None:
        words += f", floor {number(row['floor'])}"
    return f"{words}; asked {asked}"


def draw_row(row, asked, met, y):
    ratio = ahead(row)
    yield text(NAME - 8, y + 15, row["workload"], text_anchor="end")
    if ratio is not None:
        left, right = sorted((at(1), at(ratio)))
        yield (f'<rect x="{left:.1f}" y="{y + 3}" width="{max(right - left, 1):.1f}" '
               f'height="{ROW - 9}" fill="{COLOURS[met]}"/>')
    mark = {True: "✓", False: "✗", None: "·"}[met]
    yield text(NAME + BARS + 12, y + 15, f"{mark} {words_of(row, asked)}")


def draw_axis(height):
    for ratio in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100):
        x = at(ratio)
        colour = "#333" if ratio == 1 else "#ddd"
        yield f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 10}" stroke="{colour}"/>'
        yield text(x, TOP - 12, f"{ratio:g}", text_anchor="middle", fill="#666")


def draw(rows):
    """@rows: (row of bench.json, what was asked, whether it is met or None)."""
    width, height = NAME + BARS + TEXT, TOP + ROW * len(rows) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        text(16, 26, "thole's bench", font_size=18, font_weight="bold"),
        text(NAME, 26, "bars: how many times ahead of Erlang (or of the floor); right of "
             "1 is ahead; green reaches what is asked, red does not"),
        *draw_axis(height),
    ]
    for index, (row, asked, met) in enumerate(rows):
        parts += draw_row(row, asked, met, TOP + ROW * index)
    return "\n".join(parts + ["</svg>", ""])
