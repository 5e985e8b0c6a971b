from integrations.effects import Balance, Effect, audit


def effect(
    seq: int,
    kind: str,
    *,
    key: str,
    undoes: int | None = None,
    reference: str = "order:1",
    amount: int | None = None,
) -> Effect:
    return Effect("payments", kind, "pi_1", key, reference, undoes, seq, amount=amount)


def test_one_of_each_is_no_problem() -> None:
    assert audit([effect(1, "authorized", key="a"), effect(2, "captured", key="c")]) == []


def test_two_effects_of_one_key_are_a_problem() -> None:
    first = effect(1, "sent", key="a")
    second = effect(2, "sent", key="a")
    (problem,) = audit([first, second])
    assert (problem.why, problem.first, problem.second) == ("same key", first, second)
    assert "order:1" in str(problem)


def test_two_of_a_kind_for_one_reference_are_a_problem_while_the_first_holds() -> None:
    effects = [effect(1, "authorized", key="a"), effect(2, "authorized", key="b")]
    assert [problem.why for problem in audit(effects)] == ["same reference"]


def test_a_second_of_a_kind_after_the_first_was_undone_is_no_problem() -> None:
    effects = [
        effect(1, "authorized", key="a"),
        effect(2, "voided", key="u", undoes=1),
        effect(3, "authorized", key="b"),
    ]
    assert audit(effects) == []


def test_undoing_the_first_does_not_excuse_a_third() -> None:
    effects = [
        effect(1, "authorized", key="a"),
        effect(2, "voided", key="u", undoes=1),
        effect(3, "authorized", key="b"),
        effect(4, "authorized", key="c"),
    ]
    assert [problem.second.seq for problem in audit(effects)] == [4]


def test_undoing_one_effect_twice_is_a_problem() -> None:
    effects = [
        effect(1, "authorized", key="a"),
        effect(2, "voided", key="u", undoes=1),
        effect(3, "voided", key="v", undoes=1),
    ]
    assert [problem.why for problem in audit(effects)] == ["undone twice"]


def test_two_mails_about_one_order_are_no_problem() -> None:
    assert audit([effect(1, "sent", key="a"), effect(2, "sent", key="b")]) == []


def test_effects_of_different_references_have_nothing_to_do_with_each_other() -> None:
    effects = [
        effect(1, "authorized", key="a"),
        effect(2, "authorized", key="b", reference="order:2"),
    ]
    assert audit(effects) == []


def refunds(*amounts: int) -> list[Effect]:
    """A capture of 400 of 1000, and what is given back of it."""
    undoings = [
        effect(3 + n, "refunded", key=f"r{n}", undoes=2, amount=amount)
        for n, amount in enumerate(amounts)
    ]
    return [
        effect(1, "authorized", key="a", amount=1000),
        effect(2, "captured", key="c", amount=400),
        *undoings,
    ]


def test_what_is_undone_in_parts_is_undone_once() -> None:
    assert audit(refunds(100, 300)) == []
    assert [problem.why for problem in audit(refunds(100, 301))] == ["undone twice"]
    assert [problem.why for problem in audit(refunds(400, 100))] == ["undone twice"]


def test_what_is_undone_in_part_still_holds() -> None:
    again = effect(9, "captured", key="d", amount=100)
    assert [problem.why for problem in audit([*refunds(100), again])] == ["same reference"]
    assert audit([*refunds(400), again]) == []
    assert [Balance(refunds(*parts)).left(2) for parts in ((), (100,), (400,))] == [400, 300, 0]


def test_more_than_there_is_is_a_problem() -> None:
    effects = [
        effect(1, "authorized", key="a", amount=1000),
        effect(2, "captured", key="c", amount=1001),
    ]
    assert [problem.why for problem in audit(effects)] == ["more than there is"]
