import pytest

from forge_cue import EvaluationRequest, Evaluator, Instance, LimitExceeded

MEBIBYTE = 1 << 20


def package(text: str) -> EvaluationRequest:
    return EvaluationRequest([Instance("x", "p", {"p.cue": f"package p\n{text}"})])


DOUBLING = "a0: {x: 1}\n" + "\n".join(f"a{i + 1}: {{x: a{i}, y: a{i}}}" for i in range(30))
LONG_CHAIN = "\n".join(f"a{i}: a{i + 1} + 1" for i in range(30_000)) + "\na30000: 1"
RANGE = 'import "list"\na: list.Range(0, 1000000000, 1)'
WIDE = 'import "strings"\na: strings.Repeat("x", 900000)\nb: [for i in [1, 2, 3, 4] {a}]'

BOMBS = [
    ("time", DOUBLING, {"time_limit": 1.0}),
    ("memory", RANGE, {"memory_limit": 128 * MEBIBYTE, "time_limit": 20}),
    ("stack", LONG_CHAIN, {"time_limit": 20}),
    ("output", WIDE, {"output_limit": MEBIBYTE}),
    ("input", 'a: "' + "x" * MEBIBYTE + '"', {"input_limit": MEBIBYTE}),
]


@pytest.mark.parametrize(("limit", "text", "options"), BOMBS, ids=[bomb[0] for bomb in BOMBS])
async def test_an_excess_ends_the_request_and_the_next_is_served(limit, text, options):
    async with Evaluator(processes=1, **options) as evaluator:
        with pytest.raises(LimitExceeded, match=f"CUE_LIMIT_EXCEEDED.*{limit}") as caught:
            await evaluator.evaluate(package(text))
        assert caught.value.limit == limit
        assert (await evaluator.evaluate(package("a: 1"))).results[0].value == {"a": 1}


async def test_running_out_of_memory_is_always_told_as_such():
    async with Evaluator(processes=1, memory_limit=96 * MEBIBYTE, time_limit=20) as evaluator:
        for _ in range(15):
            with pytest.raises(LimitExceeded, match="memory"):
                await evaluator.evaluate(package(RANGE))


@pytest.mark.parametrize("options", [{"processes": 0}, {"time_limit": 0}, {"memory_limit": -1}])
def test_limits_must_be_above_zero(options):
    with pytest.raises(ValueError, match="above zero"):
        Evaluator(**options)


async def test_the_value_of_the_limit_is_told():
    async with Evaluator(processes=1, time_limit=0.5) as evaluator:
        with pytest.raises(LimitExceeded) as caught:
            await evaluator.evaluate(package(DOUBLING))
    assert caught.value.value == 0.5
