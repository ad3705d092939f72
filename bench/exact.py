#!/usr/bin/env python3
"""Solves the questions of `bench place exact FOLDER --write` to the proved optimum, with CP-SAT of OR-tools.

OR-tools is no part of this repository. Outside of it (9.15 crashes on these models):

    python3 -m venv /tmp/cpsat && /tmp/cpsat/bin/pip install "ortools==9.12.4544"
    /tmp/cpsat/bin/python bench/exact.py FOLDER [SECONDS] [NAME…]

SECONDS is the most for each question (60). With names only questions whose name contains one of them are solved. Answers are
added to FOLDER/answers.jsonl; what is answered there is not solved again. Where
no placement was found in time there is no answer, and the question does not count.
"""

import json
import pathlib
import sys

from ortools.sat.python import cp_model

# The domain of hosts that a relation does not look at.
OUTSIDE = 2**32 - 1
# Threads of the solver.
WORKERS = 2


class Question:
    """A question as a model: x[v][h] is true if the VM v is on the host h."""

    def __init__(self, question):
        self.it = question
        self.model = cp_model.CpModel()
        self.vms, self.hosts = question["vms"], question["hosts"]
        self.x = [self.places(vm) for vm in self.vms]
        # What is to be small: pairs of variable and points. What breaks hard rules goes before everything else.
        self.terms, self.broken = [], []
        self.capacity()
        for relation in question["relations"]:
            self.relation(relation)
        for curve in question["curves"]:
            self.curve(curve)
        self.awake()
        for room in question["rooms"]:
            self.room(room)
        self.single()

    def places(self, vm):
        """Where the VM may be."""
        allowed = set() if vm["stays"] else {h for h in self.it["sets"][vm["allowed"]] if self.hosts[h]["takes"]}
        x = {h: self.model.NewBoolVar("") for h in sorted(allowed | {vm["at"]})}
        self.model.AddExactlyOne(x.values())
        return x

    def on(self, h):
        """VMs that may be on the host, with their variables."""
        return [(vm, x[h]) for vm, x in zip(self.vms, self.x) if h in x]

    def load(self, h, r):
        return self.hosts[h]["base"][r] + sum(vm["size"][r] * x for vm, x in self.on(h))

    def home(self, h, r):
        """The load where all VMs are now."""
        return self.hosts[h]["base"][r] + sum(vm["size"][r] for vm in self.vms if vm["at"] == h)

    def capacity(self):
        """A host above its capacity may stay so, and takes no more."""
        for h, host in enumerate(self.hosts):
            for r, most in enumerate(host["capacity"]):
                if most is None:
                    continue
                if self.home(h, r) <= most:
                    self.model.Add(self.load(h, r) <= most)
                    continue
                takes = self.model.NewBoolVar("")
                self.model.Add(self.load(h, r) <= most).OnlyEnforceIf(takes)
                for vm, x in self.on(h):
                    if vm["at"] != h and vm["size"][r] > 0:
                        self.model.AddImplication(x, takes)

    def relation(self, relation):
        domains, vms = relation["domains"], relation["vms"]
        hard, count = relation["points"] is None, relation["count"]
        used, spread = [], 0
        for d in sorted(set(domains) - {OUTSIDE}):
            inside = [(v, x) for v in vms for h, x in self.x[v].items() if domains[h] == d]
            home = sum(domains[self.vms[v]["at"]] == d for v in vms)
            spread += home > 0
            there = sum(x for _, x in inside)
            if relation["kind"] == "at_most":
                surplus = self.model.NewIntVar(0, len(vms), "")
                self.model.Add(surplus >= there - count)
                self.cost(surplus, relation["points"])
                if hard and home <= count:
                    self.model.Add(there <= count)
                elif hard:
                    takes = self.model.NewBoolVar("")
                    self.model.Add(there <= count).OnlyEnforceIf(takes)
                    for v, x in inside:
                        if domains[self.vms[v]["at"]] != d:
                            self.model.AddImplication(x, takes)
            else:
                any_there = self.model.NewBoolVar("")
                for _, x in inside:
                    self.model.AddImplication(x, any_there)
                self.model.Add(there >= 1).OnlyEnforceIf(any_there)
                used.append(any_there)
        if relation["kind"] == "at_most":
            return
        surplus = self.model.NewIntVar(0, len(self.hosts), "")
        more = sum(used) - 1 if relation["kind"] == "near" else count - sum(used)
        self.model.Add(surplus >= more)
        self.cost(surplus, relation["points"])
        if hard:
            home = spread - 1 if relation["kind"] == "near" else count - spread
            self.model.Add(surplus <= max(0, home))

    def cost(self, variable, points):
        """`None`: it breaks a hard rule."""
        if points is None:
            self.broken.append(variable)
        elif points:
            self.terms.append((variable, points))

    def curve(self, curve):
        """What a load costs is looked up; that it is convex is told besides, for the bound."""
        r = curve["resource"]
        for h, points in enumerate(curve["points"]):
            most = self.hosts[h]["base"][r] + sum(vm["size"][r] for vm, _ in self.on(h))
            points = points[: most + 1]
            load = self.model.NewIntVar(0, most, "")
            self.model.Add(load == self.load(h, r))
            cost = self.model.NewIntVar(0, points[-1], "")
            self.model.AddElement(load, points, cost)
            for slope, begin in facets(points):
                self.model.Add(cost >= slope * load + begin)
            self.terms.append((cost, 1))

    def awake(self):
        for h, points in enumerate(self.it["awake"]):
            on = self.on(h)
            if self.hosts[h]["busy"] or not on:
                continue
            awake = self.model.NewBoolVar("")
            for _, x in on:
                self.model.AddImplication(x, awake)
            self.terms.append((awake, points))

    def room(self, room):
        fits = []
        for h in self.it["sets"][room["allowed"]]:
            fit = self.model.NewIntVar(0, room["count"], "")
            for r, size in enumerate(room["shape"]):
                most = self.hosts[h]["capacity"][r]
                if size and most is not None:
                    if self.home(h, r) <= most:
                        self.model.Add(size * fit + self.load(h, r) <= most)
                        continue
                    full = self.model.NewBoolVar("")
                    self.model.Add(size * fit + self.load(h, r) <= most).OnlyEnforceIf(full.Not())
                    self.model.Add(fit == 0).OnlyEnforceIf(full)
            fits.append(fit)
        missing = self.model.NewIntVar(0, room["count"], "")
        self.model.Add(missing >= room["count"] - sum(fits))
        self.terms.append((missing, room["points"]))

    def single(self):
        """What moves, stays and tables cost, VM by VM. A stay that costs as much as a broken rule is one."""
        for v, (vm, x) in enumerate(zip(self.vms, self.x)):
            for h, here in x.items():
                points = 0 if h == vm["at"] else vm["move_cost"]
                for table in self.it["tables"]:
                    points += table["points"][table["vm_class"][v] * table["host_classes"] + table["host_class"][h]]
                self.cost(here, points)
            self.cost(x[vm["at"]], None if vm["stay_cost"] >= 2**40 else vm["stay_cost"])

    def solve(self, seconds):
        # Above all that the other terms can cost together.
        bound = lambda variable: max(variable.Proto().domain)
        above = 1 + sum(abs(points) * bound(variable) for variable, points in self.terms)
        broken = sum(above * variable for variable in self.broken)
        self.model.Minimize(broken + sum(points * variable for variable, points in self.terms))
        for v, (vm, x) in enumerate(zip(self.vms, self.x)):
            for h, here in x.items():
                self.model.AddHint(here, h == vm["at"])
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = seconds
        solver.parameters.num_workers = WORKERS
        solver.parameters.relative_gap_limit = 0
        status = solver.Solve(self.model)
        if status == cp_model.UNKNOWN:
            return None, False, solver.WallTime()
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            raise SystemExit(f"{self.it['name']}: {solver.StatusName(status)}")
        at = [next(h for h, here in x.items() if solver.Value(here)) for x in self.x]
        return at, status == cp_model.OPTIMAL, solver.WallTime()


def facets(points, most=24):
    """Straight lines (slope, begin) that are nowhere above the points."""
    last = len(points) - 1
    lines = {(0, 0)}
    for i in range(most):
        a = last * i // most
        b = max(a + 1, last * (i + 1) // most)
        if b > last:
            break
        slope = (points[b] - points[a]) // (b - a)
        lines.add((slope, min(cost - slope * load for load, cost in enumerate(points))))
    return sorted(lines)


def main():
    folder = pathlib.Path(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60
    names = sys.argv[3:]
    path = folder / "answers.jsonl"
    known = {json.loads(line)["name"] for line in path.read_text().splitlines()} if path.is_file() else set()
    questions = json.loads((folder / "questions.json").read_text())
    for question in questions:
        name = question["name"]
        if name in known or (names and not any(word in name for word in names)):
            continue
        at, proved, took = Question(question).solve(seconds)
        if at is None:
            print(name, "nothing found", flush=True)
            continue
        with path.open("a") as answers:
            answers.write(json.dumps({"name": name, "at": at, "proved": proved, "seconds": round(took, 3)}) + "\n")
        print(name, "proved" if proved else "NOT PROVED", f"{took:.2f} s", flush=True)


if __name__ == "__main__":
    main()
