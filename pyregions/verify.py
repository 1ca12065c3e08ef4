"""Replays the certificate of a cell in integers alone: python -m pyregions.verify network.npz certificate.json

Row j is h_j(x) = a_j.x - b_j <= 0 scaled to coprime integers: the units' (-z for piece 1, z for piece 0), then the
domain's. certificate.py states the claims; every one is an equality or a sign of integers.
"""

import json
import sys
from fractions import Fraction
from hashlib import sha256
from math import gcd, isqrt
from operator import mul
from pathlib import Path
from typing import Any

from numpy import load


def need(condition: object, flaw: str) -> None:
    if not condition:
        raise ValueError(flaw)


def decode(value: Any) -> Any:
    """Lists and keys of integers: JSON numbers or, from 2^53 on, strings of hexadecimal digits; or null."""
    if type(value) in (dict, list):
        return {k: decode(v) for k, v in value.items()} if type(value) is dict else list(map(decode, value))
    found = int(value, 16) if type(value) is str else value
    need(value is None or (type(found) is int and value == (found if abs(found) < 2**53 else hex(found))), "no integer")
    return found


def fields(value: Any, *names: str) -> list[Any]:
    need(type(value) is dict and set(value) == set(names), f"expected the keys {names}, found {value!r:.80}")
    return [value[name] for name in names]


def items(value: Any, length: int | None = None) -> list[Any]:
    need(type(value) is list and length in (None, len(value)), f"expected a list of {length}, found {value!r:.80}")
    return list(value)


def table(pairs: Any, count: int) -> dict[int, int]:
    """Pairs of an index below count, ascending, and an integer."""
    found = dict(items(pair, 2) for pair in items(pairs))
    need(sorted(set(range(count)) & set(found)) == [k for k, _ in pairs], f"bad indices in {pairs!r:.80}")
    return found


def dyadic(value: Any, length: int) -> list[int]:
    """Integers and, last, the power of two that divides them all."""
    exponent, ints = fields(value, "exponent", "ints")
    return [*items(ints, length), 1 << -exponent]


def denominator(value: Any) -> int:
    return max(map(denominator, value), default=1) if type(value) is list else int(value.as_integer_ratio()[1])


def scaled(value: Any, one: int) -> Any:
    return [scaled(v, one) for v in value] if type(value) is list else int(Fraction(value) * one)


class Cell:
    """rows[j] holds the coprime integers of row j: the normal and, last, minus the offset."""

    def __init__(self, about: Any, arrays: dict[str, list[Any]], pattern: list[int], domain: Any) -> None:
        d, outer = self.dim, _ = fields(domain, "dimension", "rows")
        need(d == about["inputs"] and set(items(pattern)) <= {0, 1}, "the dimension or a piece is wrong")
        one = denominator(list(arrays.values()))
        self.kinds, self.arrays = about["nodes"], {name: scaled(array, one) for name, array in arrays.items()}
        self.step, self.top = one.bit_length() - 1, (one.bit_length() - 1) * len(self.kinds)
        z = self.forms([{k: 1 << self.top} for k in range(d)], d, pattern)
        self.pattern = items(pattern, len(z))
        forms = [{k: (1 - 2 * p) * v for k, v in form.items()} for form, p in zip(z, pattern)]
        forms += [table(normal, d) | {d: -offset} for normal, offset in items(outer)]
        self.rows = [[f.get(k, 0) // g for k in range(d + 1)] for f in forms for g in [gcd(*f.values()) or 1]]
        self.nonzero = [j for j, row in enumerate(self.rows) if any(row[:-1])]

    def forms(self, inputs: list[dict[int, int]], last: int, pieces: list[int]) -> list[dict[int, int]]:
        """Pre-activations as forms, index -> coefficient, over 2^top, where every value of a node is an integer."""
        values, z, array = [inputs], list[dict[int, int]](), self.arrays
        for k, [(kind, source)] in enumerate(node.items() for node in self.kinds):
            if kind == "hinge":
                slopes = [both[p] for both, p in zip(zip(array[f"low{k}"], array[f"high{k}"]), pieces[len(z) :])]
                z += values[source]
                total = [{i: s * v for i, v in f.items() if s} for s, f in zip(slopes, values[source], strict=True)]
            else:
                total = [{last: v << self.top} if v else {} for v in array[f"bias{k}"]]
            for t, s in enumerate(source if kind == "affine" else []):
                for n, (form, row) in enumerate(zip(total, array[f"weight{k}_{t}"], strict=True)):
                    for w, x in zip(row, values[s], strict=True) if type(row) is list else [(row, values[s][n])]:
                        for i, v in x.items() if w else ():
                            form[i] = form.get(i, 0) + w * v
            values.append([{i: v >> self.step for i, v in form.items()} for form in total])
        return z

    def values(self, point: list[int]) -> list[int]:
        """The rows at a point in homogeneous coordinates; with 0 as the last one, slopes along a direction."""
        return [sum(map(mul, row, items(point, self.dim + 1))) for row in self.rows]

    def cancel(self, pairs: Any, mu: int = 0, group: tuple[int, ...] = ()) -> int:
        """The constant left of positive multiples of rows outside a group less mu times its first: normals cancel."""
        found = table(pairs, len(self.rows))
        need(all(v > 0 for v in found.values()) and not set(found) & set(group), f"bad multipliers {pairs!r:.80}")
        used = [(v, self.rows[j]) for j, v in found.items()] + [(-mu, self.rows[j]) for j in group[:1]]
        *g, c = [sum([v * row[k] for v, row in used]) for k in range(self.dim + 1)]
        need(not any(g), f"the normals of rows {list(found)} do not cancel")
        return c

    def check_groups(self, interior: Any, zero: Any, facets: Any, redundant: Any, unproven: Any, across: Any) -> None:
        """An interior point; groups of coincident rows, each a facet, implied by others, or open; the neighbors."""
        walls = [fields(claim, "rows", "witness") for claim in items(facets)]
        implied = [fields(claim, "rows", "mu", "multipliers") for claim in items(redundant)]
        groups = [items(rows) for rows, *_ in [*walls, *implied, *([g] for g in items(unproven))]]
        need(sorted(sum(groups, [])) == self.nonzero, "the groups do not hold every row with a normal once")
        need(zero == sorted(set(range(len(self.rows))) - set(self.nonzero)), "the zero rows are others")
        keys = [{tuple(self.rows[j]) for j in group} for group in groups]
        need({len(k) for k in keys} <= {1} and len(set().union(*keys)) == len(keys), "rows that coincide are one group")
        inside = self.values(dyadic(interior, self.dim))
        need(all(v < 0 or (v == 0 and j in zero) for j, v in enumerate(inside)), "the interior point is not inside")
        still = {j for j in zero if j < len(self.pattern) and not any(self.rows[j])}  # units that are zero on the cell
        need(not any(self.pattern[j] for j in still), "the pattern is not canonical")
        for rows, witness in walls:
            beyond = [j for j, v in enumerate(self.values(dyadic(witness, self.dim))) if v > 0]
            need(beyond == rows, f"the witness of facet {rows} violates {beyond}")
        for rows, mu, pairs in implied:
            need(mu > 0 and self.cancel(pairs, mu, tuple(rows)) >= 0, f"rows {rows} are not implied")
        for rows, changed in zip([g for g, _ in walls if g[-1] < len(self.pattern)], items(across), strict=True):
            pieces = [p ^ (u in changed) for u, p in enumerate(self.pattern)]
            slopes = self.forms([{0: v << self.top} for v in self.rows[rows[0]][:-1]], 1, pieces)
            on = {u: slopes[u].get(0, 0) > 0 for u in sorted(still | set(rows))}
            need(changed == [u for u in on if on[u] != self.pattern[u]], f"other units change beyond facet {rows}")

    def check_cone(self, claim: Any, name: str) -> None:
        """Every direction in which no row increases is 0 (or one of lineality); or one is not, or leaves all rows."""
        if "direction" in claim:
            u = items(fields(claim, "direction")[0], self.dim)
            slopes = self.values([*u, 0])
            falls = {"bounded": any(u), "modulo_lineality": any(slopes), "radius": all(slopes[j] for j in self.nonzero)}
            return need(max(slopes, default=0) <= 0 and falls[name], f"{name}: the direction proves nothing")
        if name == "radius":
            return self.check_radius(claim)
        [pairs] = fields(claim, "multipliers")
        self.cancel(pairs)
        need(name == "bounded" or [j for j, _ in pairs] == self.nonzero, "a row has no multiplier")
        left, prime = [self.rows[j][:-1] for j, _ in pairs], 2**61 - 1
        for k in range(self.dim if name == "bounded" else 0):  # what is independent modulo a prime is independent
            pivot = next((row for row in left if row[k] % prime), [])
            need(pivot, "the combined rows do not span the space")
            unit = [v * pow(pivot[k], -1, prime) % prime for v in pivot]
            left = [[(v - r[k] * w) % prime for v, w in zip(r, unit)] if r[k] else r for r in left if r is not pivot]

    def check_radius(self, claim: Any) -> None:
        """A ball of the lower radius fits in, and none of more than the upper."""
        center, lower, upper = fields(claim, "center", "lower", "upper")
        point, (radius, unit) = dyadic(center, self.dim), dyadic(lower, 1)
        squares = [sum([v * v for v in row[:-1]]) for row in self.rows]
        for v, square in zip(self.values(point), squares):
            need(v <= 0 <= radius and (radius * point[-1]) ** 2 * square <= (v * unit) ** 2, "the ball does not fit in")
        if upper is not None:
            bound, pairs = fields(upper, "radius", "multipliers")
            (radius, unit), c = dyadic(bound, 1), self.cancel(pairs)
            weight = sum([v * isqrt(squares[j] << 128) for j, v in pairs])
            need(weight > 0 and (-c * unit << 64) <= radius * weight, "the upper radius does not follow")

    def check(self, claims: Any) -> dict[str, int]:
        """How many claims of each kind are proven."""
        if "no_interior" in claims:
            [pairs] = fields(fields(claims, "no_interior")[0], "multipliers")
            c = self.cancel(pairs)
            need(c > 0 or (c == 0 and {j for j, _ in pairs} & set(self.nonzero)), "all rows can be strict")
            return {"no_interior": 1}
        groups = ("interior", "zero_rows", "facets", "redundant", "unproven", "neighbors")
        self.check_groups(*fields(claims, *groups, "bounded", "modulo_lineality", "radius")[:6])
        for name in (name for name in ("bounded", "modulo_lineality", "radius") if claims[name] is not None):
            self.check_cone(claims[name], name)
        return {name: len(c) if type(c) is list else 1 for name, c in claims.items() if c}


def replay(network: str, certificate: str) -> dict[str, int]:
    text = Path(certificate).read_text("ascii")
    content = json.loads(text)
    need("".join(text.split()) == json.dumps(content, separators=(",", ":")), "a key occurs twice")
    digest, body = content.pop("digest"), json.dumps(content, sort_keys=True)
    pattern, domain, claims = fields(decode(content), "pattern", "domain", "claims")
    arrays: dict[str, Any] = {"about": json.dumps({"inputs": domain["dimension"], "nodes": []})}
    if network != "-":
        arrays = {name: array.tolist() for name, array in load(network, allow_pickle=False).items()}
    about = json.loads(arrays.pop("about"))
    weights = repr([about["inputs"], about["nodes"], sorted(arrays.items())])
    need(digest == sha256((weights + body).encode()).hexdigest(), "the digest belongs to other weights or claims")
    return Cell(about, arrays, pattern, domain).check(claims)


if __name__ == "__main__":
    try:
        print("proven:", replay(*(sys.argv[1:] if len(sys.argv) == 3 else sys.exit(__doc__))))
    except Exception as error:  # whatever goes wrong, the certificate proves nothing
        sys.exit(f"rejected: {type(error).__name__}: {error}")
