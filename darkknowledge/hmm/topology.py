"""Hidden Markov topologies of speech and of silence, as Kaldi's utils/gen_kaldi_topo.pl.

A topology is a list of emitting states; a state is a list of ``(next state, probability)``;
the next state ``len(topology)`` is the way out.
"""

Topology = list[list[tuple[int, float]]]


def speech_topology(states: int = 3) -> Topology:
    """Left-to-right states with self-loops of probability 0.75 and no skips."""
    return [[(state, 0.75), (state + 1, 0.25)] for state in range(states)]


def silence_topology(states: int = 5) -> Topology:
    """First and last state with a way on, the ones between connected with each other.

    The first state leads to all but the last, each inner state to all inner ones and the last,
    with equal probabilities; the last has a self-loop of 0.75.
    """
    equal = 1.0 / (states - 1)
    first = [[(following, equal) for following in range(states - 1)]]
    inner = [[(following, equal) for following in range(1, states)] for _ in range(1, states - 1)]
    return first + inner + [[(states - 1, 0.75), (states, 0.25)]]
