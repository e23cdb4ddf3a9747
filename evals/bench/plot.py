"""The plot: tickets a second as a ratio to the peer, a bar each with its interval, as SVG."""

from collections.abc import Mapping

from evals.bench.blocks import Ratio

WIDTH, BAR, LEFT, GAP = 760, 22, 150, 30


def plot(groups: Mapping[str, Mapping[str, Ratio]]) -> str:
    """Bars by contender in each group; the peer's own ratio is one."""
    most = max(one.high for group in groups.values() for one in group.values())
    scale = (WIDTH - LEFT - 120) / most
    lines: list[str] = []
    y = 20
    for title, group in groups.items():
        lines.append(f'<text x="10" y="{y}" font-weight="bold">{title}</text>')
        y += 12
        for name, one in group.items():
            middle = y + BAR / 2
            colour = "#b9b4c7" if name.startswith(("A", "E")) else "#5c5470"
            lines += [
                f'<text x="{LEFT - 10}" y="{middle + 4}" text-anchor="end">{name}</text>',
                f'<rect x="{LEFT}" y="{y}" width="{one.median * scale:.1f}" height="{BAR - 6}" fill="{colour}"/>',
                f'<line x1="{LEFT + one.low * scale:.1f}" x2="{LEFT + one.high * scale:.1f}" y1="{middle - 3}"'
                f' y2="{middle - 3}" stroke="#000" stroke-width="1.5"/>',
                f'<text x="{LEFT + one.high * scale + 8:.1f}" y="{middle + 1}">{one.median:.2f}</text>',
            ]
            y += BAR
        y += GAP
    style = 'font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" {style}>'
    return "\n".join((head, f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>', *lines, "</svg>")) + "\n"
