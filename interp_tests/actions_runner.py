"""A runner of GitHub Actions as far as it reads a log, after its ActionCommand.cs and ActionCommandManager.cs."""

import re
from dataclasses import dataclass, field

REGISTERED = (
    "error warning notice debug group endgroup set-output save-state set-env add-path add-mask add-matcher "
    "remove-matcher echo stop-commands"
).split()


@dataclass
class Command:
    """One line that the runner obeyed."""

    name: str
    properties: dict = field(default_factory=dict)
    data: str = ""


def obeyed(log):
    """Every command that a runner would carry out while it reads this log, stopped ranges left out."""
    known, token, found = set(REGISTERED), None, []
    for line in re.split(r"\r\n|\n|\r", log):
        command = _new_style(line, known) or _old_style(line, known)
        if command is None:
            continue
        if token is not None:
            if command.name == token:
                known.discard(token)
                token = None
        elif command.name == "stop-commands":
            token = command.data
            known.add(token)
        else:
            found.append(command)
    return found


def _new_style(line, known):
    line = line.lstrip()
    if not line.startswith("::") or "::" not in line[2:]:
        return None
    head, data = line[2:].split("::", 1)
    name, _, rest = head.partition(" ")
    if name.lower() not in known:
        return None
    pairs = (pair.split("=", 1) for pair in rest.strip().split(",") if "=" in pair)
    given = {key: _unescaped(value, ("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ",")) for key, value in pairs}
    return Command(name.lower(), given, _unescaped(data, ("%0D", "\r"), ("%0A", "\n")))


def _old_style(line, known):
    """`##[name ...]data`, anywhere in a line."""
    found = re.search(r"##\[([^\]]*)\](.*)", line, flags=re.DOTALL)
    name = found[1].partition(" ")[0].lower() if found else ""
    return Command(name, {}, found[2]) if name in known else None


def _unescaped(text, *pairs):
    for escaped, meant in (*pairs, ("%25", "%")):
        text = text.replace(escaped, meant)
    return text
