"""Who lets go when all together hold too much."""

from cody.stream.budget import Budget


class Box:
    def __init__(self, budget: Budget) -> None:
        self.budget, self.size = budget, 0

    def put(self, size: int) -> None:
        self.size += size
        self.budget.hold(self, self.size)

    def forget(self) -> None:
        self.size = 0


def boxes(budget: Budget) -> tuple[Box, Box, Box]:
    return Box(budget), Box(budget), Box(budget)


def test_those_without_news_for_longest_let_go_first():
    budget = Budget(100)
    first, second, third = boxes(budget)
    for box in (first, second, third):
        box.put(30)
    first.put(5)
    assert [box.size for box in (first, second, third)] == [35, 30, 30]
    third.put(30)
    assert [box.size for box in (first, second, third)] == [35, 0, 60]
    third.put(20)
    assert [box.size for box in (first, second, third)] == [0, 0, 80]
    assert budget.size == 80


def test_who_has_news_keeps_them_even_if_they_are_too_much():
    budget = Budget(100)
    first, second, _ = boxes(budget)
    first.put(50)
    second.put(200)
    assert [first.size, second.size, budget.size] == [0, 200, 200]
    first.put(60)
    assert [first.size, second.size, budget.size] == [60, 0, 60]


def test_who_is_gone_counts_no_more():
    budget = Budget(100)
    first, second, _ = boxes(budget)
    first.put(80)
    budget.release(first)
    budget.release(first)
    second.put(80)
    assert [first.size, second.size, budget.size] == [80, 80, 80]
