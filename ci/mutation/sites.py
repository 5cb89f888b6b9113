"""Where a source file can be changed a little, and how: pure functions from text to sites. One site is one small fault
of one kind. Comments, strings, texts for people and what the preprocessor reads are left alone."""

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

KINDS = {
    "negate": "a check inverted",
    "bound": "a bound flipped between open and closed",
    "logic": "'and' and 'or' swapped",
    "arith": "plus and minus swapped",
    "number": "a number that is one off",
    "counter": "another counter than the one meant",
    "drop": "a statement left out",
    "return": "another value or exit status returned",
    "order": "two statements swapped",
}

# Names that stand for one another: a mix-up of two of one family compiles, and is easily made.
FAMILIES = (
    {"packets", "bytes", "segments", "frames"},
    {"captured", "original"},
    {"lost", "duplicated", "reordered", "stale", "corrupt", "received", "foreign"},
    {"head", "lent", "slots"},
    {"matched", "recv_packets", "egress_sent", "egress_errors", "egress_submitted", "buffer_exhaustion",
     "exhaustion_frames", "drop_no_match", "drop_malformed", "drop_fragment", "drop_truncated", "drop_checksum",
     "drop_worker_died", "drop_handoff"},
    {"rx_packets", "tx_packets", "rx_dropped", "tx_dropped"},
    {"ingress_pps", "egress_pps", "matched_pps", "offered_pps"},
    {"lower", "upper", "estimate"},
    {"base", "head", "control"},
    {"before", "after", "running"},
)
TELLS = re.compile(r"^(log_\w+|complain|note|progress\w*|run_progress\w*|say|f?printf|fputs|putchar|print)$")  # to people


@dataclass(frozen=True)
class Site:
    kind: str
    start: int  # text[start:end] becomes `new`
    end: int
    new: str


def language(path: str, text: str) -> str | None:
    if path.endswith((".c", ".h")):
        return "c"
    if path.endswith(".py"):
        return "python"
    return "bash" if path.endswith(".bash") or re.match(r"#!.*\bbash\b", text) else None


def sites(path: str, text: str) -> list[Site]:
    found = {"c": c_sites, "python": python_sites, "bash": bash_sites}[language(path, text)]
    return sorted({site for site in found(text) if text[site.start:site.end] != site.new},
                  key=lambda site: (site.start, site.end, site.kind, site.new))


def apply(text: str, site: Site) -> str:
    return text[:site.start] + site.new + text[site.end:]


def same_program(path: str, text: str, changed: str) -> bool:
    """Whether the interpreter would see no difference. Of C, only a compiler can tell."""
    kind = language(path, text)
    if kind == "python":
        return ast.dump(ast.parse(text)) == ast.dump(ast.parse(changed))
    return kind == "bash" and _bash_words(text) == _bash_words(changed)


def readable(path: str, changed: str) -> bool:
    """Whether an interpreter takes it at all."""
    kind = language(path, changed)
    if kind == "python":
        try:
            compile(changed, path, "exec")
        except (SyntaxError, ValueError):
            return False
    if kind == "bash":
        return subprocess.run(["bash", "-n"], input=changed, text=True, capture_output=True, check=False).returncode == 0
    return True


def name_of(path: str, text: str, site: Site) -> str:
    """The same as long as the line and its place among lines that are alike are: other edits do not matter."""
    line = text[text.rfind("\n", 0, site.start) + 1:(text + "\n").find("\n", site.end)]
    column = site.start - text.rfind("\n", 0, site.start)
    twins = text[:site.start].count(line)
    return "r-" + sha256(repr((path, line, column, site.kind, site.new, twins)).encode()).hexdigest()[:8]


def code_lines(path: str, text: str) -> int:
    return sum(bool(line.strip()) for line in masked(path, text).splitlines())


def masked(path: str, text: str) -> str:
    return {"c": _mask_c, "python": _mask_python, "bash": _mask_bash}[language(path, text)](text)


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _families(word: str, words: set[str]) -> list[str]:
    """Those of the word's family that the file knows, too."""
    return sorted({other for family in FAMILIES if word in family for other in family & words} - {word})


def _swap(mask: str, kind: str, table: dict[str, str]) -> Iterator[Site]:
    """Operators between blanks."""
    pattern = "|".join(sorted(map(re.escape, table), key=len, reverse=True))
    for match in re.finditer(rf"(?<= )({pattern})(?= |$)", mask, re.MULTILINE):
        yield Site(kind, match.start(), match.end(), table[match[0]])


def _numbers(mask: str) -> Iterator[Site]:
    for match in re.finditer(r"(?<![\w.#])\d+(?=[uUlL]*(?![\w.]))", mask):
        number = int(match[0])
        for other in {number + 1, max(number - 1, 0)} - {number}:
            yield Site("number", *match.span(), str(other))


def depends(first: str, second: str) -> bool:
    """Whether the order of two statements may matter: one sets what the other names, or both call with something that
    both name."""
    targets = [re.findall(r"(\w+)(?:\[[^\]]*\])? ?(?:[-+*/|&]?= |\+\+|--)", one) for one in (first, second)]
    words = [set(re.findall(r"[A-Za-z_]\w*", one)) for one in (first, second)]
    if any(targets):
        return first != second and bool(set(targets[0]) & words[1] or set(targets[1]) & words[0])
    return first != second and bool(words[0] & words[1])


def _swapped_lines(text: str, lines: list[tuple[int, int]]) -> Iterator[Site]:
    """Neighbours among whole statements of one line each, at one depth."""
    for (start, end), (begin, stop) in zip(lines, lines[1:]):
        first, second = text[start:end], text[begin:stop]
        if end + 1 == begin and re.match(r"\s*", first)[0] == re.match(r"\s*", second)[0] and depends(first, second):
            yield Site("order", start, stop, f"{second}\n{first}")


# ------------------------------------------------------------------------- C

_C_QUIET = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|^[ \t]*#(?:[^\n\\]|\\\n|\\.)*",
                      re.DOTALL | re.MULTILINE)
_C_STATEMENT = re.compile(r"^\t+(?:[a-z_][\w>.\-]*\(.*\)|[*(]*[a-z_][\w>.\-\[\]()]*(?: [-+*/|&]?= .*|\+\+|--));$")
_C_DECLARES = re.compile(r"^\t+(?:const|static|struct|enum|union|unsigned|int|bool|char|size_t|ssize_t|u?int\d+_t|json_t) ")
_C_BEFORE = re.compile(r"[;{}):]\s*$|\belse\s*$")  # what a line ends with when the next begins a statement


def _mask_c(text: str) -> str:
    return _C_QUIET.sub(lambda match: _blank(match[0]), text)


def _closing(mask: str, opening: int) -> int:
    depth = 0
    for at in range(opening, min(len(mask), opening + 1000)):
        depth += (mask[at] == "(") - (mask[at] == ")")
        if depth == 0:
            return at
    return -1


def c_sites(text: str) -> Iterator[Site]:
    mask = _mask_c(text)
    for match in re.finditer(r"\bif \(", mask):
        closing = _closing(mask, match.end() - 1)
        if closing > 0:
            yield Site("negate", match.end(), closing, f"!({text[match.end():closing]})")
    yield from _swap(mask, "negate", {"==": "!=", "!=": "=="})
    yield from _swap(mask, "bound", {"<": "<=", "<=": "<", ">": ">=", ">=": ">"})
    yield from _swap(mask, "logic", {"&&": "||", "||": "&&"})
    yield from _swap(mask, "arith", {"+": "-", "-": "+", "+=": "-=", "-=": "+="})
    yield from _numbers(mask)
    words = set(re.findall(r"\w+", mask))
    names = {prefix: sorted(word for word in words if word.startswith(prefix) and not word.endswith(("_COUNT", "_")))
             for prefix in ("COUNTER_", "PACKET_", "HISTOGRAM_", "CAUSE_")}
    for match in re.finditer(r"\b[A-Za-z_]\w*\b", mask):
        family = next((names[prefix] for prefix in names if match[0] in names[prefix]), None)
        others = [name for name in family if name != match[0]] if family else \
            _families(match[0], words) if mask[match.start() - 1] in ".>" else []
        for other in others:
            yield Site("counter", *match.span(), other)
    yield from _c_returns(mask)
    yield from _c_lines(text, mask)


def _c_returns(mask: str) -> Iterator[Site]:
    other = {"0": "1", "1": "0", "true": "false", "false": "true", "rc": "0", "EXIT_FAILURE": "EXIT_SUCCESS",
             "EXIT_SUCCESS": "EXIT_FAILURE"}
    for match in re.finditer(r"\breturn (-E[A-Z]+|-errno|\w+);", mask):
        new = "0" if match[1].startswith("-") else other.get(match[1])
        if new:
            yield Site("return", match.start(1), match.end(1), new)


def _c_lines(text: str, mask: str) -> Iterator[Site]:
    at, before, whole = 0, ";", []
    for line in mask.split("\n"):
        if _C_STATEMENT.match(line) and _C_BEFORE.search(before) and not _C_DECLARES.match(line):
            start = at + len(line) - len(line.lstrip())
            call = re.match(r"\t+(\w+)\(", line)
            if not (call and TELLS.match(call[1])):
                yield Site("drop", start, at + len(line), "(void)0;")
                if not before.rstrip().endswith((")", "else")):
                    whole.append((at, at + len(line)))
        before = line if line.strip() else before
        at += len(line) + 1
    yield from _swapped_lines(text, whole)


# ------------------------------------------------------------------------- Python

_COMPARE = {ast.Lt: ("bound", "<="), ast.LtE: ("bound", "<"), ast.Gt: ("bound", ">="), ast.GtE: ("bound", ">"),
            ast.Eq: ("negate", "!="), ast.NotEq: ("negate", "=="), ast.Is: ("negate", "is not"),
            ast.IsNot: ("negate", "is"), ast.In: ("negate", "not in"), ast.NotIn: ("negate", "in")}
FOR_PEOPLE = {"print", "add_argument", "ArgumentParser", "say", "note", "paint", "table", "heading"}


def _mask_python(text: str) -> str:
    """Without docstrings and comments. Strings stay: some of them are names."""
    quiet = [(node.body[0].lineno, node.body[0].end_lineno) for node in ast.walk(ast.parse(text))
             if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None]
    lines = text.split("\n")
    for first, last in quiet:
        for number in range(first - 1, last):
            lines[number] = _blank(lines[number])
    return "\n".join(re.sub(r"^\s*#.*", lambda match: _blank(match[0]), line) for line in lines)


def called(node: ast.AST) -> str:
    """The name of what is called; of anything else, an empty one."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


class _Python:
    def __init__(self, text: str):
        self.text = text
        self.found: list[Site] = []
        self.lines = [line.encode() for line in text.split("\n")]
        self.starts = [0]
        for line in text.split("\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.words = {node.value for node in ast.walk(ast.parse(text))
                      if isinstance(node, ast.Constant) and isinstance(node.value, str)}

    def at(self, line: int, column: int) -> int:
        return self.starts[line - 1] + len(self.lines[line - 1][:column].decode())

    def span(self, node: ast.AST) -> tuple[int, int]:
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)

    def add(self, kind: str, node: ast.AST, new: str) -> None:
        self.found.append(Site(kind, *self.span(node), new))

    def between(self, kind: str, left: ast.AST, right: ast.AST, old: str, new: str) -> None:
        """An operator, between its operands."""
        start, end = self.span(left)[1], self.span(right)[0]
        match = re.search(rf"(?<![\w<>=!]){re.escape(old)}(?![\w<>=])", self.text[start:end])
        if match:
            self.found.append(Site(kind, start + match.start(), start + match.end(), new))

    def walk(self, node: ast.AST) -> None:
        if isinstance(node, ast.JoinedStr):
            return
        if isinstance(node, (ast.FunctionDef, ast.Module, ast.ClassDef)):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        if isinstance(node, ast.Raise) or called(node) in FOR_PEOPLE \
                or isinstance(node, ast.Expr) and called(node.value) in FOR_PEOPLE:
            return
        self.visit(node)
        for child in ast.iter_child_nodes(node):
            self.walk(child)

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, (ast.If, ast.IfExp)):
            self.add("negate", node.test, f"(not ({self.segment(node.test)}))")
        elif isinstance(node, ast.Compare):
            for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators):
                kind, new = _COMPARE[type(operator)]
                old = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
                       ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in"}[type(operator)]
                self.between(kind, left, right, old, new)
        elif isinstance(node, ast.BoolOp):
            old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:]):
                self.between("logic", left, right, old, new)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            old, new = ("+", "-") if isinstance(node.op, ast.Add) else ("-", "+")
            self.between("arith", node.left, node.right, old, new)
        elif isinstance(node, ast.Constant):
            self.constant(node)
        elif isinstance(node, ast.Return) and node.value is not None:
            self.result(node.value)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            self.add("drop", node, "pass")
        elif isinstance(node, ast.AugAssign):
            self.add("drop", node, "pass")
        body = getattr(node, "body", []) if isinstance(node, ast.stmt) else []
        for first, second in zip(body, body[1:]):
            if all(isinstance(one, (ast.Expr, ast.Assign, ast.AugAssign)) and one.lineno == one.end_lineno
                   and called(one.value) not in FOR_PEOPLE for one in (first, second)) \
                    and first.end_lineno + 1 == second.lineno:
                if not depends(self.segment(first), self.segment(second)):
                    continue
                start, end = self.span(first)[0], self.span(second)[1]
                between = self.text[self.span(first)[1]:self.span(second)[0]]
                self.found.append(Site("order", start, end, self.segment(second) + between + self.segment(first)))

    def segment(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool) or node.value is None:
            return
        if isinstance(node.value, int):
            for other in (node.value + 1, node.value - 1):
                if other >= 0:
                    self.add("number", node, str(other))
        elif isinstance(node.value, float):
            self.add("number", node, repr(node.value * 1.5 if node.value else 0.5))
        elif isinstance(node.value, str):
            for other in _families(node.value, self.words):
                self.add("counter", node, repr(other).replace("'", '"'))

    def result(self, value: ast.expr) -> None:
        if isinstance(value, ast.Constant) and isinstance(value.value, bool):
            self.add("return", value, str(not value.value))
        elif isinstance(value, ast.Constant) and isinstance(value.value, int):
            self.add("return", value, "0" if value.value else "1")
        elif isinstance(value, ast.List) and not value.elts or isinstance(value, ast.Constant):
            return
        elif isinstance(value, (ast.List, ast.ListComp)):
            self.add("return", value, "[]")
        else:
            self.add("return", value, "None")


def python_sites(text: str) -> Iterator[Site]:
    walker = _Python(text)
    walker.walk(ast.parse(text))
    return iter(walker.found)


# ------------------------------------------------------------------------- bash

_BASH_KEYWORDS = re.compile(r"^(if|then|else|elif|fi|for|while|until|do|done|case|esac|local|declare|readonly|export|"
                            r"return|exit|break|continue|function|time|\[\[.*|\(\(.*|[{}!:]|[^ ]*\)|"
                            r"[A-Za-z_]\w*(\[.*\])?\+?=.*)$")


def _mask_bash(text: str, strings: bool = True) -> str:
    """Blanks for comments, here-documents and what stands in single quotes; with `strings`, in double ones, too."""
    out, at, quote, word = [], 0, "", True
    here: list[str] = []
    while at < len(text):
        char = text[at]
        if quote:
            if char == "\\" and quote == '"':
                out.append(text[at:at + 2] if not strings else "  ")
                at += 2
                continue
            if char == quote:
                out.append(char)
                quote = ""
            else:
                out.append(char if char == "\n" or (quote == '"' and not strings) else " ")
        elif char == "\\":
            out.append(text[at:at + 2])
            at += 2
            word = False
            continue
        elif char in "'\"":
            quote = char
            out.append(char)
        elif char == "#" and word:
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            out.append(" " * (end - at))
            at = end
            continue
        else:
            match = re.match(r"<<-?\s*'?(\w+)'?", text[at:at + 40]) if char == "<" and text[at - 1] != "<" else None
            if match and text[at:at + 3] != "<<<":
                here.append(match[1])
            out.append(char)
        if char == "\n" and here and not quote:
            match = re.compile(rf"^\s*{here.pop(0)}$", re.MULTILINE).search(text, at)
            end = match.end() if match else len(text)
            out.append(_blank(text[at + 1:end]))
            at = end
            continue
        word = char.isspace() or char in ";(|&"
        at += 1
    return "".join(out)[:len(text)]


def _bash_words(text: str) -> list[str]:
    code = _mask_bash(text)
    return [raw.strip()[:len(mask.rstrip())] for raw, mask in zip(text.split("\n"), code.split("\n")) if mask.strip()]


def bash_sites(text: str) -> Iterator[Site]:
    quiet = [bool(line.split()) and bool(TELLS.match(line.split()[0])) for line in text.split("\n")]
    mask, loose = ("\n".join(_blank(line) if said else line for said, line in zip(quiet, one.split("\n")))
                   for one in (_mask_bash(text), _mask_bash(text, strings=False)))
    for match in re.finditer(r"(?<!! )(?<![!\w])\[\[ (?=.*?\]\])", mask):
        yield Site("negate", match.start(), match.start(), "! ")
    for match in re.finditer(r"! (?=\[\[ |[a-z])", mask):
        if re.search(r"(^\s*|\b(if|while|until|elif)\s+|(\|\||&&|;)\s+)$", mask[:match.start()].split("\n")[-1]):
            yield Site("negate", *match.span(), "")
    yield from (site for site in _swap(mask, "logic", {"&&": "||", "||": "&&"}))
    for match in re.finditer(r"\(\((?:[^()\n]|\((?:[^()\n]|\([^()\n]*\))*\))*\)\)", loose):
        for site in (*_swap(match[0], "bound", {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}),
                     *_swap(match[0], "negate", {"==": "!=", "!=": "=="}),
                     *_swap(match[0], "arith", {"+": "-", "-": "+", "+=": "-=", "-=": "+="}),
                     *_swap(match[0], "logic", {"&&": "||", "||": "&&"}),
                     *_numbers(match[0])):
            yield Site(site.kind, match.start() + site.start, match.start() + site.end, site.new)
    statuses = sorted(set(re.findall(r"\bEXIT_[A-Z]+\b", loose)) | {"EXIT_PASS", "EXIT_INVALID"})
    for match in re.finditer(r"\$(EXIT_[A-Z]+)\b", loose):
        for other in statuses:
            if other != match[1]:
                yield Site("return", match.start(1), match.end(1), other)
    for match in re.finditer(r"\breturn( [01])?$|\breturn 1\b", mask, re.MULTILINE):
        yield Site("return", *match.span(), "return 0" if match[0] == "return 1" else "return 1")
    yield from _bash_lines(text, mask)


def _whole_bash_command(line: str, before: str) -> bool:
    """One simple command on one line, with nothing that goes on before or behind it."""
    goes_on = ("\\", "|", "||", "&&", "(", "{", "do", "then", ";;")
    words = line.split()
    if not words or line[0] != "\t" or "<<" in line or before.rstrip().endswith(goes_on[:5]) or line.rstrip().endswith(goes_on):
        return False
    if any(line.count(quote) % 2 for quote in "'\"") or line.count("(") != line.count(")"):
        return False
    return not _BASH_KEYWORDS.match(words[0]) and not TELLS.match(words[0]) and (words[0][0].isalpha() or words[0][0] == '"')


def _bash_lines(text: str, mask: str) -> Iterator[Site]:
    at, before, whole = 0, "", []
    for line in mask.split("\n"):
        if _whole_bash_command(line, before):
            raw = text[at:at + len(line)]
            yield Site("drop", at + len(line) - len(line.lstrip()), at + len(raw.rstrip()), ":")
            whole.append((at, at + len(line)))
        before = line
        at += len(line) + 1
    yield from _swapped_lines(text, whole)
