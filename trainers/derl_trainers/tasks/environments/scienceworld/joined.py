"""Calls to ScienceWorld's simulator that are made of several: one from Python, one answer.

A call through py4j costs some tenth of a millisecond, and on a busy machine the wait until the
other process has its turn; and each object in between is one that Java must be told to forget. So
the few calls of a step, and the dozen that make a game, are put together in Java, by the functions
of java.lang.invoke that put functions together. Its vocabulary:

- a handle is a method as a value: `find` gives that of a class, which takes the object first;
- `filterReturnValue(f, g)` is g(f(x)), `collectArguments(f, k, g)` gives f for its argument k what
  g gives, and takes g's arguments in its place, of which the outermost is called first;
- `permuteArguments(f, type, order)` takes what `type` says, and argument k of f is its `order[k]`;
- `asType` casts, and `asInterfaceInstance` makes an object of it whose method Python can call.
"""

from __future__ import annotations

from typing import Any

SIMPLIFICATION = "easy"
END = "\x1e"  # between what a step says and the names of things


def module(jvm: Any, name: str) -> Any:
    """The one object of a Scala class, `name$`."""
    return jvm.java.lang.Class.forName(name).getField("MODULE$").get(None)


class Joined:
    """Makes functions of two arguments, called by `apply`."""

    def __init__(self, gateway: Any) -> None:
        self._gateway, self._jvm = gateway, gateway.jvm
        self._invoke = self._jvm.java.lang.invoke
        self._handles = self._invoke.MethodHandles
        self._lookup = self._handles.publicLookup()
        self._text = self._class("java.lang.String")
        self._game = self._class("scienceworld.runtime.AgentInterface")

    def steps(self) -> tuple[Any, Any]:
        """Of a game and an action: the step alone, and the step with the names of things."""
        join, text, game = self._handles, self._text, self._game
        three = self._class("scala.Tuple3")
        step = join.filterReturnValue(
            self._find(game, "step", three, text), self._find(three, "toString", text)
        )
        concat = self._find(text, "concat", text, text)
        things = join.filterReturnValue(
            self._find(game, "getPossibleObjectReferentLUTJSON", text), concat.bindTo(END)
        )
        # Of (game, action, game): the step is taken before the things are named.
        both = join.collectArguments(join.collectArguments(concat, 1, things), 0, step)
        named = join.permuteArguments(both, step.type(), self._order(0, 1, 0))
        return self._function(step), self._function(named)

    def maker(self, tasks: Any) -> Any:
        """Of a task and a variation: the game, as `load` makes it when the objects are there."""
        join, text, number = self._handles, self._text, self._jvm.java.lang.Integer.TYPE
        pair, thing = self._class("scala.Tuple2"), self._class("scienceworld.struct.EnvObject")
        player = self._class("scienceworld.objects.agent.Agent")
        goal, maybe = self._class("scienceworld.tasks.Task"), self._class("scala.Option")
        anything = self._class("java.lang.Object")
        first, second = (self._find(pair, name, anything) for name in ("_1", "_2"))
        universe, agent = (
            first.asType(self._type(thing, pair)), second.asType(self._type(player, pair))
        )  # fmt: skip
        # (task, variation, house, house) -> what is to be done in it
        setup = self._find(
            tasks.getClass(), "doTaskSetup", pair, text, number, thing, player
        ).bindTo(tasks)
        for part in (
            first.asType(self._type(maybe, pair)),
            self._find(maybe, "get", anything).asType(self._type(goal, maybe)),
        ):
            setup = join.filterReturnValue(setup, part)
        setup = join.collectArguments(join.collectArguments(setup, 3, agent), 2, universe)
        # (house, house, task, variation, house, house) -> game
        made = self._lookup.findConstructor(
            self._game, self._type(self._jvm.java.lang.Void.TYPE, thing, player, goal, text)
        )
        easy = self._handles.constant(text, SIMPLIFICATION)
        made = join.collectArguments(join.collectArguments(made, 3, easy), 2, setup)
        made = join.collectArguments(join.collectArguments(made, 1, agent), 0, universe)
        made = join.permuteArguments(
            made, self._type(self._game, pair, text, number), self._order(0, 0, 1, 2, 0, 0)
        )
        # (variation, task, variation) -> game, of (task, variation)
        houses = module(self._jvm, "scienceworld.environments.EnvironmentMaker$")
        house = self._find(
            houses.getClass(), "mkKitchenEnvironment", pair, self._jvm.java.lang.Long.TYPE
        ).bindTo(houses)
        made = join.collectArguments(made, 0, house.asType(self._type(pair, number)))
        whole = self._type(self._game, text, number)
        return self._function(join.permuteArguments(made, whole, self._order(1, 0, 1)))

    def _class(self, name: str) -> Any:
        return self._jvm.java.lang.Class.forName(name)

    def _type(self, gives: Any, *takes: Any) -> Any:
        listed = self._jvm.java.util.ArrayList()
        for kind in takes:
            listed.add(kind)
        return self._invoke.MethodType.methodType(gives, listed)

    def _find(self, owner: Any, name: str, gives: Any, *takes: Any) -> Any:
        return self._lookup.findVirtual(owner, name, self._type(gives, *takes))

    def _order(self, *order: int) -> Any:
        found = self._gateway.new_array(self._jvm.int, len(order))
        for k, at in enumerate(order):
            found[k] = at
        return found

    def _function(self, handle: Any) -> Any:
        function = self._class("java.util.function.BiFunction")
        return self._invoke.MethodHandleProxies.asInterfaceInstance(function, handle)
