"""`python -m tocsin`."""

import sys


def main() -> None:
    if sys.argv[1:2] == ["agent"] and "--instance-id" in sys.argv:
        # Every machine begins here: the rest of the command line would cost each of them 30 ms of CPU.
        from tocsin.agent.main import main as agent

        sys.exit(agent(sys.argv[2:]))
    from tocsin.cli import main as command

    command()


if __name__ == "__main__":
    main()
