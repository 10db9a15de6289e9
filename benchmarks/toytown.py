"""How many scenes a second one core draws.

    python benchmarks/toytown.py [scenes] [height] [width]

Both domains are drawn by turns, so that whatever else the machine does hits both alike; time is the
process's own on the processor, and the median is shown beside the slowest tenth.
"""

import statistics
import sys
import time

import cv2

from uda_seg.data.toytown import DOMAINS, scene


def main(scenes: int = 200, height: int = 128, width: int = 256) -> None:
    cv2.setNumThreads(1)
    seconds: dict[str, list[float]] = {domain: [] for domain in DOMAINS}
    for domain in DOMAINS:
        scene(1, 0, domain, (height, width))  # the first one also warms up
    for index in range(scenes):
        for domain in DOMAINS:
            start = time.process_time()
            scene(0, index, domain, (height, width))
            seconds[domain].append(time.process_time() - start)
    print(f"{scenes} scenes a domain, {width}x{height}, one core")
    for domain, times in seconds.items():
        slow = sorted(times)[int(0.9 * len(times))]
        print(
            f"{domain:15s} {1 / statistics.median(times):6.1f} images/s median"
            f" {1 / statistics.mean(times):6.1f} mean {1 / slow:6.1f} at the 90th percentile"
        )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
