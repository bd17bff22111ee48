# Flattens the block style of YAML in which seeds are written: one line for each value, its path (keys and list places, from 0, with
# `/` between), a tab, and its text. Lists of plain values in brackets are understood too; texts of many lines and braces are skipped.

function strip(text) { sub(/^[ \t]+/, "", text); sub(/[ \t\r]+$/, "", text); return text }

# The text of a scalar, without its quotes or the remark behind it.
function scalar(text,    out, at, letter) {
    text = strip(text)
    if (text ~ /^"/) {
        out = ""
        for (at = 2; at <= length(text); at++) {
            letter = substr(text, at, 1)
            if (letter == "\"") break
            if (letter == "\\") { at++; letter = substr(text, at, 1); if (letter == "n" || letter == "t") letter = " " }
            out = out letter
        }
        return out
    }
    if (text ~ /^'/) {
        sub(/^'/, "", text); sub(/'[^']*$/, "", text); gsub(/''/, "'", text)
        return text
    }
    sub(/[ \t]+#.*$/, "", text)
    return text
}

function path(    out, level) {
    out = ""
    for (level = 1; level <= depth; level++) out = out (level > 1 ? "/" : "") part[level]
    return out
}

function put(text,    count, items, place) {
    text = strip(text)
    if (text ~ /^[|>]/) { skipping = 1; skip_from = column[depth]; return }
    if (text ~ /^\[/) {
        sub(/^\[/, "", text); sub(/\][^\]]*$/, "", text)
        count = split(text, items, ",")
        for (place = 1; place <= count; place++) print path() "/" (place - 1) "\t" scalar(items[place])
        return
    }
    if (text ~ /^[{&*!]/) return
    print path() "\t" scalar(text)
}

# Forgets what is as deep as this column, or deeper.
function leave(at) { while (depth > 0 && column[depth] >= at) depth-- }

function enter(at, name) { depth++; column[depth] = at; part[depth] = name; listing[depth] = 0 }

# A line that begins at this column; what is after the dash of a list begins further right.
function take(at, text,    name, rest) {
    if (text ~ /^-([ \t]|$)/) {
        # A list may stand in the column of the key that it belongs to.
        while (depth > 0 && (column[depth] > at || (column[depth] == at && listing[depth]))) {
            if (column[depth] == at) { place = part[depth] + 1; depth--; found = 1; break }
            depth--
        }
        if (!found) place = 0
        found = 0
        enter(at, place)
        listing[depth] = 1
        rest = substr(text, 2)
        match(rest, /^[ \t]*/)
        at += 1 + RLENGTH
        rest = substr(rest, RLENGTH + 1)
        if (rest == "" || rest ~ /^#/) return
        take_inner(at, rest)
        return
    }
    leave(at)
    take_inner(at, text)
}

function take_inner(at, text,    name, rest, length_of_key) {
    if (match(text, /^("[^"]*"|'[^']*'|[^ \t"'#:][^:]*):([ \t]|$)/)) {
        length_of_key = RLENGTH
        name = substr(text, 1, length_of_key)
        sub(/:[ \t]?$/, "", name)
        rest = strip(substr(text, length_of_key + 1))
        enter(at, scalar(name))
        if (rest != "" && rest !~ /^#/) put(rest)
        return
    }
    put(text)
}

BEGIN { depth = 0; skipping = 0 }
/^[ \t\r]*$/ || /^[ \t]*#/ || /^---/ { next }
{
    match($0, /^ */)
    indent = RLENGTH
    if (skipping && indent > skip_from) next
    skipping = 0
    take(indent, substr($0, indent + 1))
}
