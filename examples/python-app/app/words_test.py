import unittest

from app.words import frequent


class WordsTest(unittest.TestCase):
    def test_counts_without_regard_to_case(self):
        self.assertEqual(frequent("a B b", 1), [("b", 2)])
