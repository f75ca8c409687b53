"""Sends a line to a port of this machine; prints the line that comes back, or that the connection was closed."""

import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20) as connection:
    try:
        connection.sendall(sys.argv[2].encode() + b"\n")
        print(connection.makefile().readline().strip() or "closed")
    except ConnectionResetError:
        print("closed")
