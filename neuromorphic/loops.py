"""The groups of a graph in which everything is reached from everything else: its loops, and all other nodes alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence


def groups(names: Iterable[str], preds: Mapping[str, Collection[str]]) -> list[tuple[str, ...]]:
    """The strongly connected groups of a graph, each behind those that lead to it.

    Args:
        names: nodes of the graph; a group lists its members in their order.
        preds: predecessors of each node; those that are not among `names` are left out.

    Returns:
        Every node once. A group of one is a loop only where the node is its own predecessor.
    """
    names = list(names)
    place = {name: index for index, name in enumerate(names)}
    # Tarjan's algorithm against the direction of the edges, so that groups end in the order of the signal.
    met: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_nodes: list[str] = []
    done: set[str] = set()
    found = []
    for root in names:
        if root in met:
            continue
        ways: list[tuple[str, Iterator[str]]] = [(root, iter(preds[root]))]
        met[root] = lowest[root] = len(met)
        open_nodes.append(root)
        while ways:
            node, ahead = ways[-1]
            following = next(ahead, None)
            if following is None:
                ways.pop()
                if ways:
                    lowest[ways[-1][0]] = min(lowest[ways[-1][0]], lowest[node])
                if lowest[node] == met[node]:
                    group = [open_nodes.pop()]
                    while group[-1] != node:
                        group.append(open_nodes.pop())
                    done.update(group)
                    found.append(tuple(sorted(group, key=place.__getitem__)))
            elif following in place and following not in met:
                met[following] = lowest[following] = len(met)
                open_nodes.append(following)
                ways.append((following, iter(preds[following])))
            elif following in place and following not in done:
                lowest[node] = min(lowest[node], met[following])
    return found


def last_used(groups: Sequence[Collection[str]], preds: Mapping[str, Collection[str]]) -> list[frozenset[str]]:
    """What nobody asks for any more behind each of the groups, worked off in their order: its sources and members that
    lead to no later one.
    """
    needed: set[str] = set()
    found = []
    for group in reversed(groups):
        at_hand = {*group, *(source for name in group for source in preds[name])}
        found.append(frozenset(at_hand - needed))
        needed |= at_hand
    return found[::-1]


def is_loop(group: tuple[str, ...], preds: Mapping[str, Collection[str]]) -> bool:
    """Whether the signal comes back to a member of `group`, one of `groups`."""
    return len(group) > 1 or group[0] in preds[group[0]]


def way_around(start: str, preds: Mapping[str, Collection[str]], within: Collection[str]) -> list[str]:
    """The shortest loop through `start`, in the order of the signal, with `start` at both ends."""
    behind: dict[str, str] = {}
    reached = [start]
    for node in reached:
        for pred in preds[node]:
            if pred == start:
                way = [start, node]
                while way[-1] != start:
                    way.append(behind[way[-1]])
                return way
            if pred in within and pred not in behind:
                behind[pred] = node
                reached.append(pred)
    raise AssertionError(f"{start} is in no loop")
