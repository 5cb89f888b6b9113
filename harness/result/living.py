"""A relay that lives on from run to run: what it counted in one of them."""

from harness.result.documents import Faulty


def change(series: list[dict], whose: str) -> dict:
    """Of the run between the first report and the last: what a relay that had done nothing else would have said at its end.
    Counters that went backwards leave a negative change, which no account closes over."""
    if len(series) < 2:
        raise Faulty(f"{whose} reported {len(series)} times during the run, 2 are needed")
    first, last = series[0], series[-1]
    sent = {output_key(output): output["sent"] for output in first["outputs"]}
    return last | {
        "total": {name: value - first["total"].get(name, 0) if isinstance(value, int) else value
                  for name, value in last["total"].items()},
        "outputs": [output | {"sent": output["sent"] - sent.get(output_key(output), 0)} for output in last["outputs"]]}


def output_key(output: dict) -> tuple:
    return output["interface"], output["group"], output["port"]
