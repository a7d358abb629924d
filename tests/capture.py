"""Lists where this network namespace sends packets: python3 capture.py, until the standard input ends.

Prints `ready` once it listens, and at the end one JSON list of [protocol, destination, port], each once. Needs root.
"""

import json
import select
import socket
import struct
import sys

OUTGOING = 4  # PACKET_OUTGOING of linux/if_packet.h
EVERYTHING = 3  # ETH_P_ALL of linux/if_ether.h
NAMES = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 58: "icmp6"}


def destination(kind, packet):
    """Protocol, address and port of an IP packet; none of anything else, such as ARP."""
    if kind == 0x0800 and len(packet) >= 20:
        protocol, rest = packet[9], packet[(packet[0] & 15) * 4 :]
        address = socket.inet_ntop(socket.AF_INET, packet[16:20])
    elif kind == 0x86DD and len(packet) >= 40:
        protocol, rest = packet[6], packet[40:]
        address = socket.inet_ntop(socket.AF_INET6, packet[24:40])
    else:
        return None
    port = struct.unpack("!H", rest[2:4])[0] if protocol in (6, 17) and len(rest) >= 4 else None
    return NAMES.get(protocol, str(protocol)), address, port


def main():
    found = set()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(EVERYTHING)) as listener:
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if listener in ready:
                packet, (interface, kind, direction, *_) = listener.recvfrom(65535)
                if direction == OUTGOING and interface != "lo":
                    found.add(destination(kind, packet))
            elif sys.stdin in ready and not sys.stdin.read(1):
                break
    found.discard(None)
    print(json.dumps(sorted(found, key=str)))


if __name__ == "__main__":
    main()
