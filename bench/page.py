# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks.md: Markdown that is printed as it grows, the table of goals at its head, and a
plot of them as SVG."""
from html import escape


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


class Goal:
    """One row of the table of goals: ours / theirs should be at most `share`."""

    def __init__(self, task, ours, theirs, ratio, share, other="", memory=(None, None)):
        self.task, self.ours, self.theirs, self.ratio = task, ours, theirs, ratio
        self.share, self.other, self.memory = share, other, memory

    @property
    def reached(self):
        return self.ratio[0] <= self.share

    def cells(self):
        middle, low, high = self.ratio
        mb = [f"{m:.0f}" if m else "" for m in self.memory]
        return [self.task, number(self.ours), f"{self.other} {number(self.theirs)}",
                f"{middle:.3g} ({low:.3g} to {high:.3g})", f"{self.share:g}",
                "yes" if self.reached else "no", *mb]


class Page:
    def __init__(self):
        self.lines = []
        self.goals = []

    def add(self, text=""):
        self.lines.append(text)
        print(text, flush=True)

    def table(self, head, rows, left=1):
        self.add("| " + " | ".join(head) + " |")
        self.add("|" + "---|" * left + "---:|" * (len(head) - left))
        for row in rows:
            self.add("| " + " | ".join(row) + " |")
        self.add()

    def times(self, times, ours, unit="ms"):
        """One row an engine, and its time in shares of ours."""
        rows = []
        for name in times.medians:
            middle, low, high = times.ratio(name, ours)
            peak = times.memory.get(name)
            rows.append([name, number(times.best[name]), number(times.median(name)),
                         "1" if name == ours else f"{middle:.2f} ({low:.2f} to {high:.2f})",
                         f"{peak:.0f}" if peak else ""])
        self.table(["", f"best, {unit}", f"median, {unit}", f"times {ours}'s (over the rounds)",
                    "peak memory, MB"], rows)
        if times.disturbed:
            self.add(f"{times.disturbed} of {times.bursts} bursts were disturbed by other "
                     "processes on the machine.")
            self.add()

    def goal(self, task, times, share, peers, ours="unbatch"):
        """Adds the row: ours against the fastest of the peers. Returns it."""
        fastest = min(peers, key=times.median)
        goal = Goal(task, times.median(ours), times.median(fastest), times.ratio(ours, fastest),
                    share, fastest, (times.memory.get(ours), times.memory.get(fastest)))
        self.goals.append(goal)
        self.add(f"Goal: at most {share:g} of the time of the fastest ({fastest}); it is "
                 f"{goal.ratio[0]:.3g}: {'reached' if goal.reached else 'not reached'}.")
        self.add()
        return goal

    def summary(self):
        """The lines of the table of goals."""
        lines = ["| task | unbatch, ms | fastest peer, ms | ratio (over the rounds) | goal | "
                 "reached | memory, MB | the peer's |",
                 "|---|---:|---:|---:|---:|---|---:|---:|"]
        return lines + ["| " + " | ".join(g.cells()) + " |" for g in self.goals]


BAR, GAP, LEFT, WIDTH, RIGHT = 16, 10, 330, 420, 70


def plot(goals):
    """Bars of unbatch's time in shares of the fastest peer's, with a line at each goal."""
    most = max([1.25] + [min(g.ratio[0], 2.5) for g in goals])
    height = 46 + len(goals) * (BAR + GAP)

    def x(share):
        return LEFT + WIDTH * min(share, most) / most
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" '
           f'height="{height}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{LEFT}" y="16">unbatch\'s time in shares of the fastest peer\'s; '
           'black line: goal</text>',
           f'<line x1="{x(1):.0f}" y1="24" x2="{x(1):.0f}" y2="{height - 12}" stroke="#999" '
           'stroke-dasharray="3 3"/>']
    for i, g in enumerate(goals):
        y = 30 + i * (BAR + GAP)
        colour = "#2e7d32" if g.reached else "#c77700"
        out += [f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(g.task)}</text>',
                f'<rect x="{LEFT}" y="{y}" width="{max(x(g.ratio[0]) - LEFT, 1):.1f}" '
                f'height="{BAR}" fill="{colour}"/>',
                f'<line x1="{x(g.share):.1f}" y1="{y - 2}" x2="{x(g.share):.1f}" '
                f'y2="{y + BAR + 2}" stroke="black" stroke-width="2"/>',
                f'<text x="{max(x(g.ratio[0]), x(g.share)) + 6:.0f}" y="{y + 12}">'
                f'{g.ratio[0]:.2g}</text>']
    return "\n".join(out + ["</svg>"]) + "\n"
