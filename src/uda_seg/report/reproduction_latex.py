"""A published table beside ours as LaTeX: two `tabular`s with booktabs rules, to be \\input."""

from collections.abc import Sequence

from uda_seg.report.reproduction import Reproduction
from uda_seg.report.reproduction_grid import Cell, classes, sums
from uda_seg.report.reproduction_text import explanations

SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "–": "--", "−": "$-$", "→": r"$\rightarrow$", "×": r"$\times$",
    "λ": r"$\lambda$", "¹": "$^1$", "²": "$^2$", "³": "$^3$", "†": r"$\dagger$", "’": "'",
    "“": "``", "”": "''", "é": r"\'e", "·": r"$\cdot$", "…": r"\dots{}",
}  # fmt: skip


def latex(text: str) -> str:
    """Text as LaTeX source: signs escaped, those beyond ASCII as commands."""
    return "".join(SIGNS.get(sign, sign) for sign in text)


def reproduction_latex(table: Reproduction) -> str:
    """Needs \\usepackage{booktabs}; the table of classes is wide, for a `table*` or rotated."""
    parts = [
        f"% {latex(table.title)}",
        "% \\usepackage{booktabs}; made by python -m uda_seg table",
        *_tabular(*sums(table)),
    ]
    heads, rows = classes(table)
    if rows:
        parts += ["", "% Class by class", *_tabular(heads, rows)]
    parts += ["", "% What stands below:", r"\begin{itemize}"]
    parts += [f"  \\item {latex(name)}: {latex(words)}." for name, words in explanations(table)]
    return "\n".join([*parts, r"\end{itemize}", ""])


def _tabular(heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    shape = "l" + "r" * (len(heads) - 1)
    return [
        f"\\begin{{tabular}}{{{shape}}}",
        r"  \toprule",
        f"  {' & '.join(map(latex, heads))} \\\\",
        r"  \midrule",
        *(f"  {' & '.join(map(_cell, row))} \\\\" for row in rows),
        r"  \bottomrule",
        r"\end{tabular}",
    ]


def _cell(cell: Cell) -> str:
    above = (r"\dagger " if cell.recalled else "") + cell.letter
    return latex(cell.text) + (f"$^{{{above}}}$" if above else "")
