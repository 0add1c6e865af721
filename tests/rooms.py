"""docs/rooms.svg, the rooms of subquad and who imports whom: `make rooms` draws it."""

import ast
import sys
import textwrap
from html import escape
from pathlib import Path

from import_graph import import_graph

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "rooms.svg"
SOURCE = ROOT / "src" / "subquad"

# Where a room stands in its row, in columns; what is not named here goes to the right of the others.
COLUMNS = {
    "cli": 0, "segmentation": 1, "sequences": 2, "generation": 3, "classification": 4, "tasks": 2.5,
    "export": 0.4, "engine": 2.65, "bench": -0.6, "explain": 1.5, "models": 2.35, "nn": 1.35, "data": 3.5,
    "ops": 1.35, "base": 2.9,
}  # fmt: skip
COLUMN, ROW, WIDTH, HEIGHT = 236, 152, 200, 92
MARGIN, LETTERS = 28, 29  # of a line of text
TASKS, BLOCKS = "#e8720c", "#1f6feb"  # where a task is written, and where the blocks alone are read
COLOURS = {"ops": BLOCKS, "nn": BLOCKS, "models": "#0f8a7e", "tasks": "#8250df", "cli": "#57606a"}

HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
 font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif">
<title>The rooms of subquad, and who imports whom</title>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L8 4 L0 8 Z" fill="#8c959f"/></marker></defs>
<rect width="100%" height="100%" rx="12" fill="#ffffff"/>
"""


def rooms():
    """Return what each room imports of the others, by name; the folder of each task is a room."""
    graph = import_graph(SOURCE)
    found = {room_of(name): set() for name in graph if room_of(name)}
    for name, imported in graph.items():
        for other in {room_of(name) for name in imported} - {room_of(name), None}:
            if room_of(name):
                found[room_of(name)].add(other)
    return found


def room_of(module):
    """Return the room of a module, None for the package itself and `__main__`."""
    parts = module.split(".")[1:]
    if not parts or parts[0] == "__main__":
        return None
    return parts[parts[0] == "tasks" and len(parts) > 1 and is_task(parts[1])]


def is_task(room):
    """Say whether it is the folder of a task."""
    return (SOURCE / "tasks" / room).is_dir()


def levels(graph):
    """Return how high each room stands: above all that it imports."""

    def level(room):
        return 1 + max((level(other) for other in graph[room]), default=-1)

    return {room: level(room) for room in graph}


def arrows(graph):
    """Return the imports that no way round implies, so that the picture stays readable."""
    return [
        (room, other)
        for room, imported in sorted(graph.items())
        for other in sorted(imported)
        if not any(other in graph[between] for between in imported - {other})
    ]


def draw():
    """Return the picture as SVG."""
    graph = rooms()
    rows = levels(graph)
    places = {room: (COLUMNS[room], -row) for room, row in rows.items() if room in COLUMNS}
    for room in sorted(rows.keys() - places.keys()):
        right = max((x for x, y in places.values() if y == -rows[room]), default=0)
        places[room] = (right + 1, -rows[room])
    left, top = min(x for x, _ in places.values()), min(y for _, y in places.values())
    boxes = {
        room: (round(MARGIN + (x - left) * COLUMN), round(2 * MARGIN + (y - top) * ROW))
        for room, (x, y) in places.items()
    }
    width = max(x for x, _ in boxes.values()) + WIDTH + MARGIN
    height = max(y for _, y in boxes.values()) + HEIGHT + MARGIN
    lines = [HEAD.format(width=width, height=height), frame(boxes)]
    lines += [arrow(boxes[room], boxes[other]) for room, other in arrows(graph)]
    lines += [box(room, *boxes[room]) for room in sorted(boxes)]
    return "".join(lines) + "</svg>\n"


def frame(boxes):
    """Return the frame around the tasks."""
    mine = [place for room, place in boxes.items() if is_task(room)]
    x, y = min(mine)[0] - 14, mine[0][1] - 14
    width = max(mine)[0] + WIDTH + 14 - x
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT + 28}" rx="14" fill="{TASKS}" '
        f'fill-opacity="0.07"/>\n<text x="{x + 14}" y="{y - 8}" font-size="13" fill="{TASKS}">'
        'one folder for each task; commands find it in the table of <tspan font-weight="600">tasks</tspan>, '
        "by name</text>\n"
    )


def arrow(start, end):
    """Return an arrow from the lower edge of one box to the upper edge of another."""
    shift = round(max(-0.32, min(0.32, (end[0] - start[0]) / COLUMN / 4)) * WIDTH)
    x, y = start[0] + WIDTH // 2 + shift, start[1] + HEIGHT
    to_x, to_y = end[0] + WIDTH // 2 - shift, end[1] - 2
    bend = round((to_y - y) * 0.55)
    return (
        f'<path d="M{x} {y} C{x} {y + bend} {to_x} {to_y - bend} {to_x} {to_y}" fill="none" stroke="#8c959f" '
        f'stroke-width="1.5" marker-end="url(#tip)"/>\n'
    )


def box(room, x, y):
    """Return a box with the name of a room, and what its docstring says that it is."""
    colour = TASKS if is_task(room) else COLOURS.get(room, "#6e7781")
    folder = SOURCE / "tasks" / room if is_task(room) else SOURCE / room
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    told = textwrap.wrap(text.split("\n\n")[0].replace("`", ""), LETTERS, max_lines=4, placeholder=" ...")
    lines = "".join(
        f'<text x="{x + 14}" y="{y + 38 + 14 * number}" font-size="11" fill="#424a53">{escape(line)}</text>\n'
        for number, line in enumerate(told)
    )
    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff" stroke="{colour}" '
        f'stroke-width="1.5"/>\n<rect x="{x}" y="{y}" width="5" height="{HEIGHT}" rx="2" fill="{colour}"/>\n'
        f'<text x="{x + 14}" y="{y + 20}" font-size="14" font-weight="600" fill="{colour}">{escape(room)}'
        f"</text>\n{lines}"
    )


if __name__ == "__main__":
    PICTURE.write_text(draw())
    sys.stdout.write(f"wrote {PICTURE}\n")
