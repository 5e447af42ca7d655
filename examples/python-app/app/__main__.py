import sys

from app.words import frequent

for word, count in frequent(sys.stdin.read()):
    print(f"{count} {word}")
