#!/usr/bin/env python3
"""Counts test cases in JUnit files, as Bazel's tests leave them.

  tools/count_tests.py FILE...    prints "PASSED FAILED SKIPPED"
"""
import sys
import xml.etree.ElementTree as ElementTree


def main():
    passed = failed = skipped = 0
    for path in sys.argv[1:]:
        for case in ElementTree.parse(path).iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            elif case.find("skipped") is not None or case.get("status") == "notrun":
                skipped += 1
            else:
                passed += 1
    print(passed, failed, skipped)


main()
