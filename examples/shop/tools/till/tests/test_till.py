import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import build

LINES = "apple 3 0.40\n\nbread 1 3.20\n"


class TillTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.till = Path(folder.name, "till")
        build.main(self.till)

    def run_till(self, text):
        return subprocess.run([sys.executable, self.till], input=text, capture_output=True, text=True, check=False)

    def test_receipt(self):
        done = self.run_till(LINES)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines()[-1], "total" + "4.40".rjust(27))

    def test_a_wrong_line_is_named(self):
        done = self.run_till("apple 3 0.40\nbread\n")
        self.assertEqual(done.returncode, 2)
        self.assertIn("line 2", done.stderr)

    def test_it_can_be_executed(self):
        self.assertTrue(self.till.stat().st_mode & 0o100)

    def test_the_same_sources_give_the_same_bytes(self):
        self.assertEqual(build.application(build.HERE / "src", 1), build.application(build.HERE / "src", 1))


if __name__ == "__main__":
    unittest.main()
