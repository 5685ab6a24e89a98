NAMES = glob_wildcards("in/{name}.txt").name

rule all:
    input: expand("out/{name}.txt", name=NAMES)

rule count:
    input: "in/{name}.txt"
    output: "out/{name}.txt"
    shell: "wc -c <{input} >{output}"
