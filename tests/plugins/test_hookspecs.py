import inspect

from townlet_plugins import hookspecs


def hooks():
    return [function for name, function in vars(hookspecs).items() if name.startswith("townlet_")]


def test_every_hook_says_when_it_is_called_and_what_it_returns():
    assert len(hooks()) == 10
    for hook in hooks():
        text = inspect.getdoc(hook)
        assert "Called " in text
        assert "Returns:" in text
        assert "return" in hook.__annotations__
