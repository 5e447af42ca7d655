# Turns a text file into a page: the first line is the heading, blank lines part paragraphs.
name=$(basename "$1" .txt)
{
  echo "<!doctype html><title>$TITLE: $name</title>"
  awk 'NR == 1 { print "<h1>" $0 "</h1><p>"; next } /^$/ { print "</p><p>"; next } { print } END { print "</p>" }' "$1"
} >"/www/$name.html"
