"""The command line: `fnlearn lessons`, `explain`, `check`, `port`, `bench` and `plan`.

Bad input ends with one line that says what is wrong, and exit status 2.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import tyro
from rich.console import Console

from fnlearn import cpu

Letters = Annotated[tuple[str, ...], tyro.conf.Positional]
Bindings = Annotated[tuple[str, ...], tyro.conf.Positional]
Expression = Annotated[str, tyro.conf.Positional]
Side = Annotated[str, tyro.conf.Positional]


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Args: args: the words after `fnlearn`, those of the process when left out.
    Raises: SystemExit: 0 when all is well, 1 when a verdict fails, 2 for bad input.
    Source: `tyro`.
    """
    if args is None:  # the process is the command's own, and so are its settings
        cpu.configure_cpu()
    commands: dict[str, Callable[..., int]] = {command.__name__: command for command in COMMANDS}
    try:
        status: int = tyro.extras.subcommand_cli_from_dict(
            commands, prog="fnlearn", description="PyTorch training as pure JAX functions.", args=args
        )
    except _BadInput as error:
        print(f"fnlearn: {' '.join(str(error).split())}", file=sys.stderr)
        status = 2
    sys.exit(status)


class _BadInput(Exception):
    """What a person typed can't be used; the message is one line."""


def lessons(
    which: Letters = (),
    /,
    json: bool = False,
    plots: Path | None = None,
    show: bool = False,
    verbose: bool = False,
    csv: Path | None = None,
    side: Literal["both", "torch", "jax"] = "both",
) -> int:
    """Run the notes' lessons in PyTorch and in JAX, and compare every number.

    Args:
        which: A (automatic differentiation), B (a fit by hand), C (one linear layer), D (hidden layers); else all.
        json: Print one JSON object per lesson.
        plots: Write the figures to this directory.
        show: Print the source of both sides instead of running them.
        verbose: Print every gradient and every epoch's loss of lesson B.
        csv: Another table for lesson D, with the same columns.
        side: Run one side's script alone, without comparing.
    """
    from fnlearn import lessons as room
    from fnlearn.lessons.d_hidden import pima

    console, log = Console(), Console(stderr=True)
    options = room.Options(verbose=verbose)
    try:
        letters = room.letters(which)
        if csv is not None:
            options = options._replace(csv=csv)
            pima.load(csv)  # so that a bad table is told of before anything runs
        if plots is not None:
            plots.mkdir(parents=True, exist_ok=True)
        scripts = [room.twin(letter, {"torch": "PyTorch", "jax": "JAX"}[side]) for letter in letters if side != "both"]
    except ValueError as error:
        raise _BadInput(error) from error
    except OSError as error:
        raise _BadInput(f"{plots}: can't be written: {error.strerror}") from error
    if show:
        for letter in letters:
            console.print(room.show(letter), width=None if console.is_terminal else 200)
        return 0
    for script in scripts:
        script.main()
    if scripts:
        return 0
    results = []
    for letter in letters:
        with log.status(f"lesson {letter}"):
            results.append(room.run(letter, options))
        if json:
            print(room.as_json(results[-1]), flush=True)
        else:
            console.print(room.tables(results[-1]))
    if plots is not None:
        log.print(*[f"wrote {path}" for path in room.plots(results, plots)], sep="\n", soft_wrap=True)
    if not room.torch_installed():
        log.print("PyTorch is not installed, so JAX ran alone; to compare: pip install torch==2.13.0", soft_wrap=True)
    return 0 if all(result.ok for result in results) else 1


def explain(
    expression: Expression,
    bindings: Bindings = (),
    /,
    mermaid: bool = False,
    svg: Path | None = None,
) -> int:
    """Show how an expression is differentiated: its graph, the derivative on every edge, and every path.

    Args:
        expression: Arithmetic and functions of fnlearn.functional and jax.numpy, such as "(a + b) * (b + 1)".
        bindings: The inputs, such as a=2 b=1 x=[1,2,3].
        mermaid: Print a Mermaid flowchart instead of text.
        svg: Write the graph as a picture to this file.
    """
    from fnlearn import explain as room

    try:
        function, names = room.parse(expression)
        graph = room.graph(function, *room.bind(names, bindings))
        drawing = room.mermaid(graph) if mermaid else room.text(graph)
        if svg is not None:
            room.svg(graph, svg)
    except (ValueError, TypeError) as error:
        raise _BadInput(error) from error
    except OSError as error:
        raise _BadInput(f"{svg}: can't be written: {error.strerror}") from error
    print(drawing)
    return 0


def check(
    torch: Side,
    jax: Side,
    /,
    golden: Path | None = None,
    html: Path | None = None,
    json: bool = False,
    dtypes: tuple[str, ...] = ("float32",),
) -> int:
    """Compare a torch module with its port: weights, every layer, outputs and gradients.

    Args:
        torch: path.py:name of a torch.nn.Module, or of what makes one; the file also defines `inputs`.
        jax: path.py:name of a Layer or a function (params, *inputs); the file may define `params`, `buffers`, `names`.
        golden: A .safetensors file: torch's answers are written to it, or, if it is there, read in torch's place.
        html: Write the report to this file.
        json: Print the answers as one JSON object.
        dtypes: Those to compute in; float64 is always among them.
    """
    from fnlearn import equivalence as room
    from fnlearn.equivalence import named

    log = Console(stderr=True)
    inputs: Any
    try:
        if golden is not None and golden.exists():
            recording = room.load(golden)
            module, inputs = recording, recording.inputs
            log.print(f"torch's answers are those of {golden}: {recording.made}", soft_wrap=True)
        else:
            module, inputs = named.module_and_inputs(torch)
            if golden is not None:
                with log.status("recording"):
                    room.record(golden, module, inputs, dtypes=dtypes)
                log.print(f"wrote {golden}", soft_wrap=True)
        both = named.with_port(module, jax)
        with log.status("comparing"):
            answers = room.check(both, inputs, dtypes=dtypes)
        if html is not None:
            room.html({f"{torch} and {jax}": answers}, html)
            log.print(f"wrote {html}", soft_wrap=True)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise _BadInput("PyTorch is not installed: pip install torch==2.13.0, or give a --golden file") from error
    except (ValueError, TypeError) as error:
        raise _BadInput(error) from error
    except OSError as error:
        raise _BadInput(f"{error.filename}: {error.strerror}") from error
    if json:
        print(room.as_json(answers))
    else:
        Console().print(room.tables(answers))
    return 0 if all(answer.ok for answer in answers) else 1


def port(
    torch: Side,
    /,
    out: Path,
    args: tuple[str, ...] = (),
    dynamic: tuple[str, ...] = (),
    static: bool = False,
    standalone: bool = False,
    weights: Path | None = None,
) -> int:
    """Write a torch module as JAX source, with its weights and the proof that it is the same model.

    Args:
        torch: path.py:name or package.module:name of a torch.nn.Module, or of what makes one; without --args the file
            also defines `inputs`.
        out: The folder to be: model.py, weights.safetensors, test_equivalence.py, golden.safetensors, README.md.
        args: What the module is called with, such as "float32[1,3,32,32]" or "int64[2,16]<100", numbers below 100.
        dynamic: Only these dimensions may have other sizes later, with their names: 0:batch 1:time.
        static: No dimension may have another size later.
        standalone: Write what model.py uses of fnlearn into it, so that it needs JAX alone.
        weights: A checkpoint to load first, .safetensors or one of torch's, read with weights_only=True.
    """
    from fnlearn import equivalence

    log = Console(stderr=True)
    try:
        from fnlearn import port as room
        from fnlearn.port import named

        module, inputs = named.module_and_inputs(torch, args, weights)
        shapes = named.dimensions(dynamic) or not static
        with log.status("tracing and writing"):
            made = room.convert(module, inputs.args, inputs.kwargs, dynamic_shapes=shapes, standalone=standalone)
        log.print(f"all calls ported, {len(made.source.splitlines())} lines", soft_wrap=True)
        if made.no_training:
            log.print(f"for evaluation alone: {made.no_training}", soft_wrap=True)
        with log.status("proving"):
            answers = made.save(out, made_by=torch)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "ruff"):
            raise
        raise _BadInput("porting needs PyTorch and ruff: pip install 'fnlearn[torch]'") from error
    except (ValueError, TypeError, FileExistsError) as error:
        raise _BadInput(error) from error
    except OSError as error:
        raise _BadInput(f"{error.filename}: {error.strerror}") from error
    log.print(f"wrote {out}", soft_wrap=True)
    Console().print(equivalence.tables(answers))
    return 0 if all(answer.ok for answer in answers) else 1


def bench(
    models: tuple[str, ...] = (),
    batches: tuple[int, ...] = (),
    dtypes: tuple[str, ...] = (),
    torch: bool = True,
    scale: Literal["tiny", "cpu", "accelerator"] | None = None,
    minutes: float = 5.0,
    seconds: float = 1.0,
    out: Path = Path("fnlearn-bench"),
    json: bool = False,
) -> int:
    """Measure training steps of standard models on the device that is there, and in PyTorch beside.

    Args:
        models: Of notes mlp resnet unet lstm gpt vit; else all.
        batches: Rows of a batch; else three sizes that suit each model.
        dtypes: Of float32 bfloat16 float16; else float32, and on an accelerator bfloat16.
        torch: Whether PyTorch is measured beside, where it is installed.
        scale: The models' size: tiny to see that it runs; else as the device is.
        minutes: After which nothing more is measured; what matters most comes first.
        seconds: How long each step is measured, about.
        out: The folder for bench.json, written again after every case, and the chart bench.svg.
        json: Print the report as JSON instead of a table.
    """
    import json as encoder

    from fnlearn import bench as room

    console, log = Console(), Console(stderr=True)
    shown: set[tuple[int, int]] = set()
    try:
        with log.status("starting") as status:

            def told(report: dict[str, Any]) -> None:
                room.save(report, out)
                done = {(i, len(row)) for i, row in enumerate(report["rows"])}
                for i, _ in sorted(done - shown):
                    log.print(room.line(report["rows"][i]), soft_wrap=True, highlight=False)
                shown.update(done)
                status.update(report["now"])

            report = room.run(
                models, batches, dtypes, scale=scale, torch=torch, minutes=minutes, seconds=seconds, told=told
            )
    except (ValueError, RuntimeError) as error:
        raise _BadInput(error) from error
    except OSError as error:
        raise _BadInput(f"{error.filename}: {error.strerror}") from error
    wide = console if console.is_terminal else Console(width=200)
    if json:
        print(encoder.dumps(report, ensure_ascii=False))
    else:
        wide.print(room.table(report))
    log.print(f"wrote {out}", soft_wrap=True)
    if report["interrupted"]:
        return 130
    return 0 if any("seconds" in row.get("jax", {}) for row in report["rows"]) else 1


def plan(
    devices: tuple[int, ...] = (8, 64, 512),
    rows: int = 1,
    tokens: int = 4 * 2**20,
    dry: bool = True,
    json: bool = False,
) -> int:
    """Tell what training a decoder of seven billion parameters needs, by layout, before anyone rents hardware.

    Args:
        devices: How many there would be.
        rows: Sequences of 2048 tokens that each part of the batch has.
        tokens: Of the whole batch, for how far it can be spread.
        dry: Whether each layout is compiled, for so many devices that are not there; else on paper alone.
        json: Print the rows as one JSON object.
    """
    import json as encoder

    from fnlearn.train import plan as room

    console, log = Console(), Console(stderr=True)
    try:
        if tokens < 1:
            raise ValueError(f"--tokens must be at least 1, got {tokens}")
        with log.status("planning") as status:
            found = room.plan(devices, rows=rows, dry=dry, told=status.update)
    except ValueError as error:
        raise _BadInput(error) from error
    if json:
        print(encoder.dumps({"rows": found}))
    else:
        wide = console if console.is_terminal else Console(width=160)
        wide.print(*room.tables(found, tokens), sep="\n")
    return int(any("error" in row.get("compiled", {}) for row in found))


COMMANDS: tuple[Callable[..., int], ...] = (lessons, explain, check, port, bench, plan)
