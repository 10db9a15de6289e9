"""`python -m uda_seg [VERB] key=value …`; the verb is train when it is left out.

Nothing heavy is imported before the command line is found to be right: --help and a wrong key
are answered at once.
"""

import argparse
import gc
import itertools
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from uda_seg import __version__
from uda_seg.cli.output import fault_tolerant_output
from uda_seg.errors import UserError
from uda_seg.runs import files, stopping
from uda_seg.runs.memory import ask_for_large_pages
from uda_seg.runs.stopping import FOLDER_VARIABLE


def main() -> None:
    """The console script `uda-seg`."""
    fault_tolerant_output()
    gc.disable()  # until all is imported that a run needs
    ask_for_large_pages()
    try:
        with stopping.StopRequest():
            stopping.end_with_parent()
            code = _main(sys.argv[1:])
    except UserError as error:
        _say(str(error))
        code = error.exit_code
    except stopping.Stopped as stop:
        code = _stopped(stop)
    except KeyboardInterrupt:
        code = _stopped(stopping.Stopped(signal.SIGINT))
    except OSError as error:
        in_words = files.explained(error)
        if in_words is None:
            raise
        _say(str(in_words))
        code = in_words.exit_code
    finally:
        gc.unfreeze()  # extensions complain at the end about whatever is not given back
        gc.enable()
    sys.exit(code)


def _say(words: str) -> None:
    with suppress(OSError):  # the terminal may be gone, or the disk that stderr goes to full
        print(f"uda-seg: {words}", file=sys.stderr, flush=True)


def _stopped(stop: stopping.Stopped) -> int:
    """The exit code. Lightning's ranks are silent, and end well: it would kill the first one."""
    if int(os.environ.get("LOCAL_RANK", 0)) and FOLDER_VARIABLE in os.environ:
        return 0
    words = stop.words
    if words is None:
        words = f"stopped; go on with: {stopping.command_to_go_on()}"
    if words:
        _say(words)
    return 128 + stop.number


def _main(arguments: list[str]) -> int:
    # Imports take a while, in which Ctrl-C is to be no traceback.
    from uda_seg.cli import help_text

    words = list(arguments)
    verb = "train"
    if words and not words[0].startswith(("-", "+", "~")) and "=" not in words[0]:
        verb = help_text.verb_of(words)
    if "--help" in words or "-h" in words:
        pairs = itertools.pairwise(words)
        own = [Path(folder) for option, folder in pairs if option in ("--config-dir", "-cd")]
        print(help_text.overview(own) if words == arguments else help_text.of_verb(verb, own))
        return 0
    if "--version" in words:
        print(f"uda-seg {__version__}")
        return 0
    options, settings = _parse(words)
    from uda_seg.cli.command_line import check

    own_folder = Path(options.config_dir).expanduser() if options.config_dir else None
    if own_folder is not None and not own_folder.is_dir():
        raise UserError(f"--config-dir {own_folder}: there is no such folder")
    multirun = options.multirun or any(s.lower() == "hydra.mode=multirun" for s in settings)
    if any(s.startswith("sweep=") and s != "sweep=null" for s in settings) and not options.cfg:
        multirun = True  # whoever names a sweep wants to sweep
    checked = check(verb, settings, multirun, own_folder)
    from uda_seg.cli.launch import launch

    if options.cfg is None:
        from uda_seg.cli.ready import check_ready

        check_ready(verb, checked, multirun)

    return launch(verb, checked, multirun, options if options.cfg else None)


def _parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Splits Hydra's options from settings; they may stand in any order.

    Raises:
        UserError: there is an option we do not know.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-c", "--cfg", choices=["job", "hydra", "all"])
    parser.add_argument("-p", "--package")
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("--resolve", action="store_true")
    try:
        options, rest = parser.parse_known_args(words)
    except argparse.ArgumentError as error:
        raise UserError(f"{error}; --help shows all options") from error
    for word in rest:
        if word.startswith("-"):
            name = word.lstrip("-").replace("-", "_") or "key"
            raise UserError(
                f"{word}: unknown option; settings have no dashes: {name.partition('=')[0]}=value "
                "(--help shows keys and options)"
            )
    if options.cfg and options.multirun:
        raise UserError("--cfg shows the config of one run: leave -m and the list of values out")
    return options, rest
