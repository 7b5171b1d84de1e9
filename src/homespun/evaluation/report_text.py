"""A comparison as Markdown, for the terminal and for notes."""

from collections.abc import Sequence

from homespun.evaluation.comparison import Comparison, WayResult
from homespun.evaluation.comparison_store import WayChange

#: Longest name of a broken question that is shown.
_MOST_SHOWN = 10


def summary_rows(comparison: Comparison) -> list[dict[str, str]]:
    """A row a way; what no way has is left out. Attempted and scored stand side by side."""
    rows = [_row(way) for way in comparison.ways]
    empty = [name for name in rows[0] if all(row[name] == "-" for row in rows)] if rows else []
    return [{name: cell for name, cell in row.items() if name not in empty} for row in rows]


def _row(way: WayResult) -> dict[str, str]:
    low, high = 100 * way.correct.low, 100 * way.correct.high
    return {
        "way": way.name,
        "right": f"{100 * way.correct.value:.0f}% [{low:.0f} to {high:.0f}]",
        "token F1": f"{way.f1.value:.3f} [{way.f1.low:.3f} to {way.f1.high:.3f}]",
        "refusals right": _percent(way.refusals_right),
        "citations right": _percent(way.citations_right),
        "found": ", ".join(f"{share:.2f} {name}" for name, share in way.hits.items()) or "-",
        "MRR": "-" if way.mean_reciprocal_rank is None else f"{way.mean_reciprocal_rank:.2f}",
        "attempted": str(way.n_attempted),
        "scored": str(way.n_scored),
        "kept": str(way.n_cached),
        "s a question": f"{way.seconds:.2f}",
        "tokens read": f"{way.prompt_tokens:.0f}" if way.prompt_tokens else "-",
        "written": f"{way.new_tokens:.0f}" if way.new_tokens else "-",
        "peak MB": "-" if way.peak_bytes is None else f"{way.peak_bytes / 1e6:,.0f}",
        "s a right one": "-" if way.seconds_per_correct is None else f"{way.seconds_per_correct:.2f}",
        "$ a right one": "-" if way.cost_per_correct_usd is None else f"{way.cost_per_correct_usd:.5f}",
    }


def markdown(comparison: Comparison, changes: Sequence[WayChange] = ()) -> str:
    """The whole comparison in a page: verdict, figures, causes, phases."""
    parts = [f"# {title(comparison)}", "\n".join(f"- {line}" for line in comparison.verdict)]
    parts.append(_table(summary_rows(comparison)))
    parts.append(
        "Intervals: 95%, over questions. A question without an answer, or whose answer failed, counts as wrong. "
        "Seconds are of this machine, sixteen questions at once; peak MB is the whole process."
    )
    if comparison.causes:
        parts += ["## Causes of wrong answers", _table(cause_rows(comparison))]
    if changes:
        parts += ["## Since the comparison before", "\n".join(change_lines(changes))]
    seconds = sum(comparison.phases.values())
    slowest = sorted(comparison.phases.items(), key=lambda item: -item[1])
    parts.append(
        f"{seconds:.0f} s: " + ", ".join(f"{name} {value:.1f}" for name, value in slowest if value >= 0.05)
    )
    parts += [f"Note: {note}" for note in comparison.notes]
    return "\n\n".join(parts)


def title(comparison: Comparison) -> str:
    """What was compared, in a line."""
    n = len(comparison.questions)
    n_without = sum(one.unanswerable for one in comparison.questions)
    without = f", {n_without} of them without an answer in the documents" if n_without else ""
    return f"{comparison.set_name}: {n} question{'s' * (n != 1)}{without}, {len(comparison.ways)} ways"


def cause_rows(comparison: Comparison) -> list[dict[str, str]]:
    """Causes with their counts, what each would bring at most, and what to try."""
    has_oracle = any(one.points_oracle is not None for one in comparison.causes)
    rows = []
    for one in comparison.causes:
        row = {
            "way": one.way,
            "cause": one.name,
            "n": str(one.n),
            "would bring at most": f"{one.points_at_most:.1f} points",
        }
        if has_oracle:
            row["brought by the oracle"] = (
                "-" if one.points_oracle is None else f"{one.points_oracle:+.1f} points"
            )
        rows.append({**row, "try next": one.try_next})
    return rows


def change_lines(changes: Sequence[WayChange]) -> list[str]:
    """What became of each way."""
    lines = []
    for one in changes:
        assert one.difference is not None
        difference = one.difference
        said = (
            f"- {one.way}: {100 * difference.mean:+.1f} points [{100 * difference.low:+.1f} to "
            f"{100 * difference.high:+.1f}], p = {difference.p:.2g}, over {one.n} questions; {len(one.broken)} broke, "
            f"{len(one.mended)} mended"
        )
        if one.n_failed_now != one.n_failed_before:
            said += f"; {one.n_failed_now} fail now, {one.n_failed_before} before"
        if one.is_same:
            said += " (nothing that makes its answers has changed)"
        said += "; **it broke**" if one.is_broken else ""
        if one.broken:
            shown = ", ".join(one.broken[:_MOST_SHOWN])
            said += f". Wrong now: {shown}{' ...' if len(one.broken) > _MOST_SHOWN else ''}"
        lines.append(said + ".")
    return lines


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}%"


def _table(rows: Sequence[dict[str, str]]) -> str:
    if not rows:
        return ""
    names = list(rows[0])
    widths = [max(len(name), *(len(_cell(row[name])) for row in rows)) for name in names]
    lines = ["| " + " | ".join(name.ljust(width) for name, width in zip(names, widths, strict=True)) + " |"]
    lines.append("| " + " | ".join("-" * width for width in widths) + " |")
    for row in rows:
        cells = (_cell(row[name]).ljust(width) for name, width in zip(names, widths, strict=True))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
