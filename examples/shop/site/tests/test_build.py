import io
import re
import tarfile
import unittest

import build


class BuildTest(unittest.TestCase):
    def test_text_is_escaped(self):
        self.assertIn("<p>bread &amp; cheese</p>", build.render("Shop", "bread & cheese"))

    def test_every_page_is_in_the_archive(self):
        with tarfile.open(fileobj=io.BytesIO(build.archive(build.pages(), 1))) as tar:
            self.assertEqual(tar.getnames(), ["delivery.html", "index.html"])

    def test_links_lead_to_pages(self):
        pages = build.pages()
        for name, text in pages.items():
            for link in re.findall(r'href="([^"]+)"', text):
                self.assertIn(link, pages, f"in {name}")

    def test_the_same_pages_give_the_same_bytes(self):
        self.assertEqual(build.archive(build.pages(), 7), build.archive(build.pages(), 7))


if __name__ == "__main__":
    unittest.main()
