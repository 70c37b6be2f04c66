"""Pass the lines of stdio on to a warm adapter: `python relay.py PORT`. It starts in milliseconds and loads nothing."""

import os
import socket
import sys


def relay(port: int) -> int:
    """Send each line on and wait for the one line that answers it; 0 if the trace came to its end."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = connection.makefile("rb")
        answer = b""
        for line in sys.stdin.buffer:
            connection.sendall(line)
            answer = answers.readline()
            sys.stdout.buffer.write(answer)
            sys.stdout.buffer.flush()
            if not answer or answer.startswith(b'{"type":"complete"'):
                break
    return 0 if answer.startswith(b'{"type":"complete"') else 2


if __name__ == "__main__":
    code = relay(int(sys.argv[1]))
    sys.stdout.flush()
    os._exit(code)  # the oracle gives a candidate half a second to be gone
