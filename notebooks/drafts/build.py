"""Builds a notebook (without outputs) from text: build.py TEXT OUT"""
import sys
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
cells=[]
def md(t): cells.append(new_markdown_cell(t.strip('\n')))
def code(t, *tags):
    c=new_code_cell(t.strip('\n'))
    if tags: c.metadata['tags']=list(tags)
    cells.append(c)
    for l in t.splitlines():
        if len(l)>100: print('long',len(l),l)
exec(open(sys.argv[1]).read())
nb=new_notebook(cells=cells)
nb.metadata={'kernelspec':{'display_name':'Python 3 (ipykernel)','language':'python','name':'python3'},'language_info':{'name':'python'}}
for i,c in enumerate(nb.cells): c['id']=f'c{i:02d}'
nbformat.write(nb,sys.argv[2])
