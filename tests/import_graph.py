"""Who imports whom, read off the syntax trees: what a function imports when it is called counts too."""

import ast
from functools import cache
from pathlib import Path


@cache
def import_graph(root):
    """Return what each module of a package imports of that package, by dotted names.

    Args:
        root: Folder of the package; its name is the package's.
    """
    modules = {_dotted(path, root): path for path in sorted(root.rglob("*.py"))}
    return {name: _imported(ast.parse(path.read_text()), modules) for name, path in modules.items()}


def circles(graph):
    """Return the groups of modules that import each other, however long the way round is, in order."""
    reached = {name: _reached(graph, name) for name in graph}
    groups = {
        frozenset(other for other in reached[name] if name in reached[other])
        for name in graph
        if name in reached[name]
    }
    return sorted(sorted(group) for group in groups)


def _dotted(path: Path, root: Path):
    parts = (root.name, *path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree, modules):
    """Return the modules behind the imports of a tree: of `from a import b`, a.b if it is one, else a."""
    found = set()
    for node in _nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                found.add(inside if inside in modules else node.module)
    return found & modules.keys()


def _nodes(tree):
    """Walk a tree, except for what only a type checker sees."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _reached(graph, start):
    """Return all that a module imports, itself if it comes back to it."""
    reached, waiting = set(), list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += graph[name]
    return reached
